//! The table of diagnostic codes: stable, each with a title and an explanation.
//!
//! A code is never given another meaning and its number is never used again. To add one, add one
//! entry to the table below; the rest follows.

use std::fmt;

use super::Severity;

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $title:literal [$($line:literal)+])+) => {
        /// What kind of finding a diagnostic is.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Code {
            $(#[doc = concat!("`", $id, "`: ", $title, ".")] $name,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            #[must_use]
            pub fn all() -> &'static [Self] {
                &[$(Self::$name),+]
            }

            /// The stable identifier, such as `TB0103`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }

            /// The kind of finding in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// What it means, with an example of the mistake and of the way out.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => concat!($($line, "\n"),+)),+ }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),+ }
            }
        }
    };
}

codes! {
    // Reading.
    UnreadableFile "TB0001" Error "file can't be read" [
        "A file or directory could not be opened or read. It may not exist, or the user that runs"
        "tollbridge may lack the permission."
        ""
        "Check the path for a typing slip, and try `ls -l` on it as the same user."
    ]
    FileTooLarge "TB0002" Error "file too large" [
        "A configuration file may have 1 MiB, and a directory 10 000 files and 16 MiB in all. Such"
        "limits keep a wrong or hostile file from using up memory."
        ""
        "Split a large bridge into several files, one upstream each, and keep large documents in"
        "files of their own (`file: docs/policy.md`)."
    ]
    InvalidYaml "TB0003" Error "not valid YAML" [
        "The text can't be understood as YAML, so nothing in the file was looked at."
        ""
        "The usual causes: a colon followed by a blank in unquoted text, a template that is not"
        "quoted, a tab in the indentation, an unclosed quote or bracket."
        ""
        "    description: Note: dates are UTC      # wrong: YAML sees a second key"
        "    description: \"Note: dates are UTC\"    # right"
        "    value: {{ uuid() }}                   # wrong: YAML sees a map"
        "    value: \"{{ uuid() }}\"                 # right"
    ]
    DuplicateKey "TB0004" Error "key given twice" [
        "A map has the same key twice. YAML forbids it, since one of the two would be lost."
        ""
        "    timeout: 5s"
        "    timeout: 10s      # wrong: remove one of the two"
    ]
    YamlBudget "TB0005" Error "YAML grows too large" [
        "The file is nested too deeply, has too many values, or its anchors and aliases unfold to"
        "too many. Limits keep a small hostile file from using up memory."
        ""
        "Nest less, split the file, or use fewer aliases of large anchors."
    ]
    NotUtf8 "TB0006" Error "not UTF-8 text" [
        "Configuration files are UTF-8 text. This one holds bytes that are not: it may have been"
        "saved in another encoding (Latin-1, UTF-16) or not be text at all."
        ""
        "Save it as UTF-8, for example with `iconv -f latin1 -t utf-8 hr.yaml`."
    ]
    NotRegularFile "TB0007" Error "not a regular file" [
        "Only regular files are read: no pipe, device or directory, and no symbolic link that leads"
        "out of the directory, since a link could make tollbridge read any file of the machine."
        ""
        "Put the file itself into the directory. Links that stay inside, as Kubernetes makes them"
        "for a ConfigMap, are followed."
    ]
    NoBridges "TB0008" Warning "no bridge found" [
        "The directory has no bridge file, so there is nothing to serve. Bridge files end in `.yaml`"
        "or `.yml` and lie directly in the directory; hidden files and `*.test.yaml` don't count."
        ""
        "`tollbridge init hr` writes a first one."
    ]

    // Shape and meaning.
    UnknownKey "TB0101" Error "unknown key" [
        "The key means nothing at this place. An unknown key is an error because the setting it was"
        "meant to be would silently not apply. Keys that begin with `x-` are free."
        ""
        "    tools:"
        "      find:"
        "        endpont: GET /employees     # wrong: did you mean `endpoint`?"
        "        x-owner: hr-team            # fine"
    ]
    InvalidValue "TB0102" Error "invalid value" [
        "The value is of the wrong kind, or outside of what is allowed here."
        ""
        "    retry: { attempts: many }     # wrong: expected a whole number"
        "    retry: { attempts: 3 }        # right"
    ]
    UnknownClaim "TB0103" Error "unknown claim" [
        "A parameter or template names a claim that the bridge does not define under `claims:`."
        "There each name is given the token claims to look into, the first one present winning."
        ""
        "    claims:"
        "      gpid: [gpid, employeeNumber, sub]"
        "    tools:"
        "      find:"
        "        parameters:"
        "          gpid: { claim: gpdi }     # wrong: did you mean `gpid`?"
    ]
    MissingKey "TB0104" Error "missing key" [
        "A key that must be there is not."
        ""
        "    upstream:"
        "      url: https://api.example.com     # wrong: `credentials` is missing"
        ""
        "    upstream:"
        "      url: https://api.example.com"
        "      credentials: none                # right: said on purpose"
    ]
    InvalidEndpoint "TB0105" Error "invalid endpoint" [
        "An endpoint is a method, one blank, and a path that begins with `/`. Names in braces are"
        "filled from the parameters. A query or a whole URL does not belong here."
        ""
        "    endpoint: /employees/{id}?full=true     # wrong"
        "    endpoint: GET /employees/{id}           # right; make `full` a parameter"
    ]
    InvalidName "TB0106" Error "invalid name" [
        "Names of bridges are made of `a-z`, `0-9`, `_` and `-` and begin with a letter. Names of"
        "tools and parameters may be what clients and HTTP accept there."
        ""
        "    bridge: Human Resources     # wrong"
        "    bridge: hr                  # right"
        "    title: Human Resources"
    ]
    UnknownPathName "TB0107" Error "path name without a parameter" [
        "The path of an endpoint has a `{name}` that no parameter fills."
        ""
        "    endpoint: GET /employees/{employe}     # wrong: did you mean {employee}?"
        "    parameters:"
        "      employee: { claim: gpid }"
    ]
    DuplicateName "TB0108" Error "name used twice" [
        "Two bridges, tools, resources or prompts have the same name, and clients could not tell"
        "them apart. Names of tools are unique over all bridges, since `/mcp` serves them together."
        ""
        "Rename one of the two, for example `get_employee` to `payroll_get_employee`."
    ]
    ParameterWithoutType "TB0109" Error "parameter without a type" [
        "A parameter with no `claim` and no `value` is supplied by the model, which must be told"
        "what to send: a `type`, or `enum`, `const`, `oneOf` and the like."
        ""
        "    parameters:"
        "      start: { description: First day }                   # wrong"
        "      end:   { type: string, description: Last day }      # right"
    ]
    ConflictingKeys "TB0110" Error "keys that exclude each other" [
        "Two keys are given of which only one can apply. A parameter, for instance, has exactly one"
        "source: the model, a `claim`, or a `value`."
        ""
        "    gpid: { claim: gpid, type: string }     # wrong: from the token or from the model?"
        "    gpid: { claim: gpid }                   # right"
    ]
    InvalidPathParameter "TB0111" Error "invalid path parameter" [
        "A parameter that fills a part of the path has to be there and to be one value: it can't be"
        "optional, a list or an object."
        ""
        "    endpoint: GET /employees/{id}"
        "    parameters:"
        "      id: { type: string, required: false }     # wrong"
        "      id: { type: string }                      # right"
    ]
    ReservedHeader "TB0112" Error "reserved header" [
        "Some headers are not for parameters and templates to set: `Authorization`, `Host`, `Cookie`,"
        "`Content-Length`, `Transfer-Encoding`, `Connection` and all that belong to one hop. They"
        "decide who is calling and where a request ends."
        ""
        "    Authorization: { in: header, value: \"Bearer abc\" }     # wrong"
        "    upstream: { credentials: { bearer: \"${TOKEN}\" } }      # right"
    ]
    InvalidSchema "TB0113" Error "invalid JSON Schema" [
        "A part of the file is a JSON Schema, but not a valid one. JSON Schema 2020-12 is allowed,"
        "except references to other documents."
        ""
        "    days: { type: int }          # wrong"
        "    days: { type: integer }      # right"
    ]
    TemplateSyntax "TB0114" Error "template not understood" [
        "The text between `{{` and `}}` is not a valid expression."
        ""
        "    value: \"{{ args.days + }}\"         # wrong"
        "    value: \"{{ args.days + 1 }}\"       # right"
    ]
    UnknownVariable "TB0115" Error "unknown variable in a template" [
        "A template may use `args`, `claims`, `answers` and `server`, and in a response also"
        "`status`, `headers`, `body` and `result`. Names below `args` are the tool's parameters."
        ""
        "    text: \"From {{ arg.start }}\"      # wrong: did you mean `args`?"
    ]
    VariableNotAllowed "TB0116" Error "`${…}` not allowed here" [
        "`${NAME}` and `${file:PATH}` are filled in when files are read, and only in values that"
        "stay on this side. Here the value would reach the model or the caller, or is a name."
        ""
        "    description: Uses key ${API_KEY}                  # wrong: shown to the model"
        "    credentials: { bearer: \"${API_KEY}\" }             # right"
        ""
        "Write `$${NAME}` for the text `${NAME}` itself."
    ]
    InvalidVariable "TB0117" Error "malformed `${…}`" [
        "After `${` comes a name (letters, digits, `_`) or `file:` with a path, then `}`. A default"
        "follows `:-`, a message for a missing value follows `:?`."
        ""
        "    url: ${API BASE}                                # wrong"
        "    url: ${API_BASE:-https://api.example.com}       # right"
    ]
    MissingVariable "TB0118" Error "environment variable not set" [
        "The file asks for an environment variable that is not set and has no default, or for a file"
        "that can't be read, or for a name that `allow_env` does not list."
        ""
        "Set it before starting tollbridge, or give a default: `${API_BASE:-http://localhost:9000}`."
    ]
    InvalidUrl "TB0119" Error "invalid URL" [
        "An absolute http or https URL is needed, with a host and without a user name, a query or a"
        "fragment."
        ""
        "    url: api.example.com/v2             # wrong"
        "    url: https://api.example.com/v2     # right"
    ]
    InsecureUrl "TB0120" Error "URL is not https" [
        "A token or password would travel unencrypted. Plain http is for loopback addresses only."
        ""
        "    url: http://api.example.com      # wrong"
        "    url: https://api.example.com     # right"
        "    url: http://127.0.0.1:9000       # right, on the same machine"
    ]
    BodyConflict "TB0121" Error "two ways to make the body" [
        "A request has one body. Either the parameters that are `in: body` make it, as one JSON"
        "object, or `body:` does, in exactly one of its forms."
        ""
        "    body: { json: { a: 1 }, text: hello }     # wrong"
        "    body: { json: { a: 1 } }                  # right"
    ]
    ResourceNeedsIdentity "TB0122" Error "resource that needs the caller's identity" [
        "A resource is the same for everyone: it names no claim, sends no token of the caller and"
        "changes nothing. Whatever depends on who is calling is a tool."
        ""
        "    resources:"
        "      hr://me: { endpoint: \"GET /employees/{gpid}\" }     # wrong with a claim: make it a tool"
    ]
    ResourceContent "TB0123" Error "resource without one content" [
        "A resource has exactly one of `json`, `text`, `file`, `blob` and `endpoint`."
        ""
        "    config://app: { text: a, json: {} }     # wrong"
        "    config://app: { json: { a: 1 } }        # right"
    ]
    InvalidUri "TB0124" Error "invalid resource URI" [
        "Resources are named by an absolute URI with a scheme, or a URI template of RFC 6570 whose"
        "names stand in braces."
        ""
        "    resources:"
        "      settings: { json: {} }              # wrong"
        "      config://app/settings: { json: {} } # right"
    ]
    InvalidFileReference "TB0125" Error "invalid file reference" [
        "`file:` names a regular file by a path relative to the directory of the bridges, and can't"
        "leave that directory."
        ""
        "    file: ../../etc/passwd       # wrong"
        "    file: docs/policy.md         # right"
    ]
    InvalidHeader "TB0126" Error "invalid header" [
        "The name of a header is made of letters, digits and `-`; its value is visible ASCII text"
        "with no line break."
        ""
        "    X Tenant: { in: header, type: string }     # wrong"
        "    X-Tenant: { in: header, type: string }     # right"
    ]
    DuplicateLocation "TB0127" Error "two parameters for the same place" [
        "Two parameters have the same name on the wire in the same part of the request, and the API"
        "would see one of them or both."
        ""
        "    a: { as: id, in: query, type: string }"
        "    b: { as: id, in: query, type: string }     # wrong"
    ]
    MissingUpstream "TB0128" Error "endpoint without an upstream" [
        "A tool or resource has an `endpoint`, but the bridge does not say which API it is of."
        ""
        "    upstream:"
        "      url: https://api.example.com"
        "      credentials: none"
    ]
    InvalidQuantity "TB0129" Error "invalid duration or size" [
        "A duration is a number with `ms`, `s`, `m` or `h`; a size is a number with `B`, `KiB`,"
        "`MiB` or `GiB`."
        ""
        "    timeout: 10 seconds        # wrong"
        "    timeout: 10s               # right"
        "    max_bytes: 32KiB           # right"
    ]
    BodyNotAllowed "TB0130" Error "method without a body" [
        "GET, HEAD and DELETE requests carry no body: many servers and proxies ignore or refuse one."
        ""
        "    endpoint: GET /employees"
        "    parameters:"
        "      name: { in: body, type: string }      # wrong"
        "      name: { in: query, type: string }     # right"
    ]
    UnusedParameter "TB0131" Error "parameter that is never used" [
        "The model would be asked for an argument that has no part in the request: no place takes it"
        "and no template names it."
        ""
        "Remove it, say where it goes (`in: query`), or use it (`\"{{ args.note }}\"`)."
    ]
    ReservedName "TB0132" Error "reserved name" [
        "The name is used by tollbridge or by the protocol itself."
        ""
        "    parameters:"
        "      access_token: { type: string }     # wrong: carries the caller's token over STDIO"
        "      token_id: { type: string, as: access_token }     # right"
    ]
    InvalidSelect "TB0133" Error "JMESPath not understood" [
        "`select`, and `next` and `items` of `paginate`, are JMESPath expressions (jmespath.org), at most"
        "2 KiB long, with brackets nested at most 32 deep."
        ""
        "    select: \"items[*.name\"          # wrong: the bracket is not closed"
        "    select: \"items[].name\"          # right"
        "    select: \"{id: id, n: length(items)}\""
    ]
    UnknownFilter "TB0134" Error "unknown filter, test or function in a template" [
        "A template uses a filter (after `|`), a test (after `is`) or a function that does not exist."
        "There are minijinja's own, and `tojson`, `b64encode`, `b64decode`, `urlencode`, `sha256`; functions"
        "are `now('%Y-%m-%d')`, `uuid()`, `range()`, `dict()` and `namespace()`."
        ""
        "    value: \"{{ args.name|upcase }}\"     # wrong"
        "    value: \"{{ args.name|upper }}\"      # right"
    ]
    InvalidStyle "TB0135" Error "style that does not fit its place" [
        "`style` and `explode` are OpenAPI's. Query: `form`, `spaceDelimited`, `pipeDelimited`,"
        "`deepObject`; path: `simple`, `label`, `matrix`; header: `simple`. `reserved: true` is for a"
        "whole segment of the path. An object with `style: form` would let the model name any"
        "parameter of the query, so it is refused."
        ""
        "    ids: { in: header, style: form, type: array }       # wrong"
        "    ids: { in: header, style: simple, type: array }     # right"
    ]
    InvalidContent "TB0136" Error "piece of content that is not one thing" [
        "A piece of content, of a result or of a prompt, is exactly one of `text`, `image`, `audio`,"
        "`resource` and `link`; an image or a sound says its `mime_type`. A part of a multipart form is"
        "one of `text`, `base64` and `json`."
        ""
        "    content:"
        "      - { text: \"A picture:\", image: \"{{ body.png }}\" }                # wrong"
        "      - { text: \"A picture:\" }                                            # right"
        "      - { image: \"{{ body.png }}\", mime_type: image/png }"
    ]
    UnknownField "TB0137" Error "field that the result never has" [
        "The schema of the result asks for a member that `select` never gives, so every call would"
        "fail."
        ""
        "    select: \"{id: id, state: status.code}\""
        "    schema: { type: object, required: [id, status] }     # wrong: it is called `state`"
    ]
    CacheNotAllowed "TB0138" Error "cache on something else than GET" [
        "Only the answer of a GET can be given again without asking: other methods change something,"
        "and a tool without an endpoint has nothing to keep."
        ""
        "    endpoint: POST /orders"
        "    cache: 30s                 # wrong"
    ]
    InvalidCertificate "TB0139" Error "certificate can't be used" [
        "What `tls` names is not a certificate or private key in PEM, the key does not belong to the"
        "certificate, or this machine has no certificates to trust at all."
        ""
        "    tls: { ca: \"${file:ca.pem}\", cert: \"${file:client.pem}\", key: \"${file:client.key}\" }"
        ""
        "A file in PEM begins with `-----BEGIN CERTIFICATE-----`. Convert others with"
        "`openssl x509 -inform der -in ca.crt -out ca.pem`."
    ]
    InvalidQuestion "TB0140" Error "question that is not one thing" [
        "A question under `ask` is a form (`message` and `schema`), a page to open (`message` and `url`), a"
        "text that the client's model writes (`sample`), or the user's folders (`roots: true`). To ask for a"
        "yes or no, write `confirm`."
        ""
        "    confirm: \"Submit {{ args.days }} days off?\""
        "    ask:"
        "      reason: { message: Why?, schema: { type: object, properties: { text: { type: string } } } }"
    ]
    TwinTools "TB0141" Error "two tools that clients take for one" [
        "Two tools have names that differ only by upper and lower case, by `-`, `_` and `.`. Many clients"
        "rewrite the names of tools before a model sees them. Then one of the two takes the place of the"
        "other, and a call of the one reaches the other."
        ""
        "    read_file: …"
        "    read-file: …      # wrong: which one?"
        ""
        "The two may stand in two files, since `/mcp` serves all of them in one list."
    ]
    InvalidSkill "TB0142" Error "invalid skill" [
        "`skills:` names a folder. Each folder in it with a `SKILL.md` is a skill; that file begins with"
        "what it says about itself, and its name is that of the folder."
        ""
        "    ---"
        "    name: time-off"
        "    description: How to plan and request time off.  Use it before any request."
        "    ---"
    ]

    // Advice.
    CallerToken "TB0201" Note "the caller's token is forwarded" [
        "`credentials: caller_token` sends the token that the client brought on to the API. That is"
        "right only when the API is an intended audience of this very token: MCP forbids passing a"
        "token on to anyone else, and an API that accepts foreign tokens can't tell callers apart."
        ""
        "The server's `auth` refuses tokens for another audience than its own, so the API must be"
        "within that one. Otherwise exchange the token for one that is meant for the API:"
        ""
        "    credentials:"
        "      token_exchange:"
        "        { client_id: bridge, client_secret: \"${SECRET}\", audience: api://hr, scope: hr.read }"
    ]
    UnusedClaim "TB0202" Warning "claim that is never used" [
        "`claims:` defines a name that no parameter and no template uses. Remove it, or check the"
        "spelling where it was meant to be used."
    ]
    MissingDescription "TB0203" Warning "no description" [
        "Models choose tools by their descriptions. One without is rarely called, or called wrongly."
        ""
        "    get_schedule:"
        "      description: Retrieve the signed-in user's schedule for a date range."
    ]
    PlainSecret "TB0204" Warning "secret written in the file" [
        "A password, token or key stands in the file as it is, where everyone who may read the file or"
        "its history can read it. It counts as leaked once it has been committed: make a new one."
        ""
        "    credentials: { bearer: sk_live_4eC39… }     # wrong"
        "    credentials: { bearer: \"${API_TOKEN}\" }     # right"
        ""
        "`${file:PATH}` reads it from a file. Excerpts show `*` in its place."
    ]
    SameDescription "TB0205" Warning "two tools with the same description" [
        "Models choose tools by their descriptions. Between two that read the same the choice is chance."
        ""
        "    get_balance:  { description: Get the balance., … }     # wrong: of what?"
        "    get_time_off: { description: Get the balance., … }"
        ""
        "Say in each what it does that the other does not."
    ]
    LongDescription "TB0206" Warning "long description" [
        "A description has more than 1024 characters. Every client sends all descriptions to the model in"
        "every conversation; long ones cost money and attention, and some clients cut or refuse them."
        ""
        "Say what it does and when to use it. Put the rest into a resource, or into the descriptions of"
        "the parameters it is about."
    ]
    UndescribedParameter "TB0207" Note "parameter without a description" [
        "The model has to supply this argument and knows only its name and type."
        ""
        "    start: { type: string }                                                # a date? a time?"
        "    start: { type: string, format: date, description: First day off }      # better"
    ]
    HiddenCharacter "TB0208" Error "character that can't be seen" [
        "A name, title or description holds a character that is invisible or changes the direction of"
        "text. The model would read something that a reviewer can't see, so it could be told anything."
        ""
        "Type the text anew, or remove the character that is named by its number, such as U+200B."
    ]
    SimilarNames "TB0209" Warning "names that are easily confused" [
        "Two parameters of a tool have names that differ only by upper and lower case, by `-`, `_` and `.`,"
        "or two of them, or two tools, by letters that look alike. A model or a reviewer takes one for the"
        "other."
        ""
        "    parameters:"
        "      file: …"
        "      fi1e: …      # wrong: which one?"
    ]
    ContradictingHints "TB0210" Warning "hints that contradict the method" [
        "`annotations` tell clients what a tool does, and clients decide by them whether to ask a person"
        "first. Here they say the opposite of the method: GET and HEAD only read, the others may change"
        "something."
        ""
        "    endpoint: DELETE /orders/{id}"
        "    annotations: { read_only: true }     # wrong: a client would call it without asking"
        ""
        "A search by POST only reads all the same. Then say so where it stands:"
        ""
        "    annotations: { read_only: true }     # tollbridge: allow TB0210 -- a search"
    ]
    MissingHints "TB0211" Note "change without hints" [
        "The tool changes something, and nothing is said about how. Clients then read hints that follow"
        "from its method alone."
        ""
        "    endpoint: POST /orders"
        "    annotations: { destructive: false, idempotent: false }     # adds an order, each time"
    ]
    UnusedAnchor "TB0212" Warning "anchor that is never used" [
        "YAML gives a value a name by `&name`, and nothing refers to it by `*name`. Remove it, or check"
        "the spelling where it was meant to be used."
        ""
        "    start: &date { type: string, format: date }"
        "    end: *date"
    ]
    PlainHttp "TB0213" Warning "API is called unencrypted" [
        "Requests and answers travel over plain http to another machine, where anyone on the way can read"
        "and change them; also what the answer tells the model. No credentials are sent, so it is allowed."
        ""
        "    url: http://weather.example.com      # wrong"
        "    url: https://weather.example.com     # right"
        ""
        "Inside of a network of your own it may be right:"
        ""
        "    url: http://weather:8080     # tollbridge: allow TB0213 -- never leaves the cluster"
    ]
    UnclearAllow "TB0214" Warning "allow comment that can't be followed" [
        "A comment `# tollbridge: allow` names the codes of warnings and notes that are fine there. What"
        "follows ` -- ` is the reason. An error can't be allowed, and a code must exist."
        ""
        "    # tollbridge: allow TB0205, TB0206 -- the words are those of the contract"
        ""
        "At the end of a line it is about that line, on a line of its own about the next one, and above"
        "the first key about the whole file."
    ]
    UnusedAllow "TB0215" Warning "allow comment that silences nothing" [
        "A comment allows a finding that is not made there: what it was about has been mended or moved."
        "Left there, it would hide the next one."
        ""
        "Remove the code from the comment. It must stand on the line on which the finding begins, or on a"
        "line of its own above that."
    ]

    // The server file.
    MissingAuth "TB0301" Error "nothing says who may call" [
        "The server file has no `auth:`, so tollbridge can't tell who is calling and does not start."
        ""
        "    auth:"
        "      okta: { domain: https://your-org.okta.com, audience: api://enterprise, … }"
        ""
        "    auth: { none: true }     # loopback only, for trying things out"
    ]
    InsecureListen "TB0302" Error "open to the network without protection" [
        "The server would listen beyond this machine with no check of who is calling."
        ""
        "    listen: 0.0.0.0:8000"
        "    auth: { none: true }     # wrong together; listen on 127.0.0.1, or set up `auth`"
    ]
    InsecureIdentityProvider "TB0303" Error "identity provider is not https" [
        "Tokens and client secrets would travel unencrypted, and anyone on the way could answer in"
        "the provider's name. Plain http is for loopback addresses only, as in tests."
        ""
        "    domain: http://your-org.okta.com      # wrong"
        "    domain: https://your-org.okta.com     # right"
    ]
    MissingSecret "TB0304" Error "client secret or key missing" [
        "This way of validating tokens needs the server to identify itself to the identity provider,"
        "by a `client_secret` or a `private_key`."
        ""
        "    client_id: ${OKTA_CLIENT_ID}"
        "    client_secret: ${OKTA_CLIENT_SECRET}"
    ]

    // What only a look at the network shows.
    UnknownHost "TB0401" Error "host name does not resolve" [
        "`check --online` asked for the address of this host and got none. Either the name has a typo,"
        "or the machine that asked is not in the network where the name is known (a VPN, a cluster)."
        ""
        "    url: https://api.yourcompany.con      # wrong"
        "    url: https://api.yourcompany.com      # right"
    ]
    NoConnection "TB0402" Error "no connection to the server" [
        "The name resolves, but no HTTP answer came: nothing listens at that port, a firewall stands"
        "between, or what listens there speaks something else. Every HTTP status is an answer."
        ""
        "Look at the port of the URL, and try `curl -I URL` from the same machine."
    ]
    NoSecureConnection "TB0403" Error "no secure connection to the server" [
        "The server was reached, but TLS failed: its certificate has expired, is for another name, or"
        "comes from an authority that this machine does not trust; or it asks for a client certificate."
        ""
        "    upstream:"
        "      url: https://api.internal"
        "      tls: { ca: \"${file:company-ca.pem}\" }     # the company's own authority"
    ]
    NoDiscovery "TB0404" Error "identity provider without a discovery document" [
        "The identity provider answers, but has no discovery document for this issuer. Most often the"
        "id of the authorization server is wrong."
        ""
        "    okta: { domain: https://your-org.okta.com, authorization_server: default, … }"
        ""
        "Its document is at DOMAIN/oauth2/ID/.well-known/openid-configuration; open it in a browser."
    ]
    OtherIssuer "TB0405" Error "identity provider of another name" [
        "The discovery document names another issuer than the settings, so every token would be refused:"
        "its `iss` is compared, character for character. A custom domain changes the issuer only when the"
        "authorization server is set to issue under it."
        ""
        "    domain: https://your-org.okta.com     # the host of `issuer` in the document"
    ]
    ClientRefused "TB0406" Error "identity provider refuses our client" [
        "The identity provider answered 401 to our own client id and secret, so no token could be checked."
        "The service app that introspects must be active, have a client secret, and belong to this org."
        ""
        "    client_id: ${OKTA_CLIENT_ID}"
        "    client_secret: ${OKTA_CLIENT_SECRET}"
    ]
    NoIntrospection "TB0407" Error "introspection does not work" [
        "The identity provider did not answer a question about a made-up token as RFC 7662 has it: 200 and"
        "`{\"active\": false}`. Is the URL that of its introspection endpoint?"
        ""
        "    introspection: { url: https://id.example.com/oauth2/introspect, … }"
    ]

    // Config tests.
    UnknownSubject "TB0501" Error "test of something that is not there" [
        "A test names a tool, resource or prompt that no bridge of the directory has. It may have been"
        "renamed or removed; then the test should be too."
        ""
        "    tests:"
        "      - { name: works, tool: get_shedule }     # did you mean `get_schedule`?"
    ]
    InvalidTest "TB0502" Error "test that can't be run" [
        "A test calls exactly one thing, `tool`, `resource` or `prompt`, and what it says about the API's"
        "answer and about what is expected must make sense for that."
        ""
        "    - name: asks only for the caller"
        "      tool: get_schedule"
        "      caller: { gpid: \"12345\" }"
        "      upstream: { status: 200, json: { shifts: [] } }"
        "      expect: { request: GET /schedules?gpid=12345, result: { shifts: [] } }"
    ]
    DuplicateTest "TB0503" Error "two tests of one name" [
        "The tests of a bridge, inline and in files of their own, need names that tell them apart: the"
        "name is how a failure is reported and how its snapshot is found. Names that differ only by"
        "punctuation or by upper and lower case would share a snapshot."
    ]

    // Reload.
    BreakingChange "TB0601" Error "breaking change refused" [
        "The server file says `reload: { breaking: refuse }`, and the changed files would let something fail"
        "that works: a tool, resource or prompt is gone, an argument is gone, required or takes less than"
        "before, a result promises less, or an API moves to another host. The previous definitions keep"
        "serving. That no bridge file is left is refused whatever the server file says: a mount may be gone."
        ""
        "    tollbridge reload --allow-breaking     # when it is meant"
        "    tollbridge diff OLD NEW                # to see it before"
    ]
}

// === impl Code ===

impl Code {
    /// Finds a code by its identifier, in upper or lower case.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        let found = Self::all().iter().find(|it| it.id().eq_ignore_ascii_case(id.trim()));
        found.copied()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
