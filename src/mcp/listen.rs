//! Tells clients that a list which they see has changed, and nobody else.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{Extensions, ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionContext};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::poll::Interest;
use super::shared::{Shared, in_scope};
use crate::live::Snapshot;

/// The lists as one client sees them, each as a number that changes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    tools: u64,
    resources: u64,
    prompts: u64,
}

/// The resources that a client wants to hear of, by URI.
pub(super) type Followed = Arc<Mutex<BTreeMap<String, Arc<Interest>>>>;

/// How a client is told.
enum Door {
    /// Since 2026-07-28: a stream of its own.
    Subscription(Box<SubscriptionContext>),
    /// Before: the session.
    Session(Peer<RoleServer>),
}

/// How many resources one client can follow.
pub(super) const MOST_FOLLOWED: usize = 256;

/// What of a wish for notifications is granted: all of it, within bounds.
pub(super) fn accept(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = requested.clone();
    if let Some(followed) = &mut accepted.resource_subscriptions {
        followed.truncate(MOST_FOLLOWED);
    }
    accepted
}

/// Serves a subscription until the client leaves or the server stops.
pub(super) async fn subscription(shared: Arc<Shared>, context: SubscriptionContext) {
    let extensions = context.request_context().extensions.clone();
    let ended = context.request_context().ct.clone();
    let followed = context.accepted().resource_subscriptions.clone().unwrap_or_default();
    let interest = |uri: String| {
        let interest = shared.polls.follow(&shared, &uri);
        (uri, interest)
    };
    let followed = Arc::new(Mutex::new(followed.into_iter().map(interest).collect()));
    follow(shared, Door::Subscription(Box::new(context)), &extensions, ended, followed).await;
}

/// Serves a session until `ended` is cancelled or the server stops.
pub(super) fn session(
    shared: Arc<Shared>,
    peer: Peer<RoleServer>,
    extensions: Extensions,
    ended: CancellationToken,
    followed: Followed,
) {
    tokio::spawn(async move { follow(shared, Door::Session(peer), &extensions, ended, followed).await });
}

async fn follow(
    shared: Arc<Shared>,
    door: Door,
    extensions: &Extensions,
    ended: CancellationToken,
    followed: Followed,
) {
    let mut revisions = shared.live().revisions();
    let mut looked = shared.polls.changes();
    let mut before = seen(&shared, extensions).await;
    let mut contents = shared.lists(&shared.live().load());
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = shared.stopping().cancelled() => return,
            changed = revisions.changed() => if changed.is_err() { return },
            Ok(uri) = looked.recv() => {
                let is_followed = followed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&uri);
                if is_followed
                    && shows(&shared, &shared.live().load(), &uri, extensions)
                    && door.updated(uri).await.is_err()
                {
                    return;
                }
                continue;
            }
        }
        let now = seen(&shared, extensions).await;
        let told = [
            (now.tools != before.tools, Kind::Tools),
            (now.resources != before.resources, Kind::Resources),
            (now.prompts != before.prompts, Kind::Prompts),
        ];
        for kind in told.into_iter().filter_map(|(changed, kind)| changed.then_some(kind)) {
            if let Err(why) = door.tell(kind).await {
                debug!(why, "A client could not be told that a list changed.");
                return;
            }
        }
        before = now;
        let snapshot = shared.live().load();
        let lists = shared.lists(&snapshot);
        let uris: Vec<String> = followed.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for uri in uris {
            let named = snapshot.catalog.resource(&uri).map(|(resource, _)| resource.uri.as_str());
            if named.is_some_and(|named| lists.contents.get(named) != contents.contents.get(named))
                && shows(&shared, &snapshot, &uri, extensions)
                && door.updated(uri).await.is_err()
            {
                return;
            }
        }
        contents = lists;
    }
}

/// Whether a resource is one of those that a client may read.
fn shows(shared: &Shared, snapshot: &Snapshot, uri: &str, extensions: &Extensions) -> bool {
    let found = snapshot.catalog.resource(uri);
    found.is_some_and(|(resource, _)| in_scope(snapshot, resource.bridge, shared.scope(extensions)))
}

#[derive(Clone, Copy)]
enum Kind {
    Tools,
    Resources,
    Prompts,
}

async fn seen(shared: &Shared, extensions: &Extensions) -> Seen {
    let snapshot = shared.live().load();
    let lists = shared.lists(&snapshot);
    let scope = shared.scope(extensions);
    let viewer = if lists.hides_tools { shared.caller().viewer(extensions).await } else { None };
    let number = |hashes: &mut dyn Iterator<Item = &String>| {
        let mut hasher = DefaultHasher::new();
        hashes.for_each(|hash| hash.hash(&mut hasher));
        hasher.finish()
    };
    let in_scope = |bridge: usize| in_scope(&snapshot, bridge, scope);
    let tools = lists.tools.iter().zip(&lists.hashes);
    let mut tools = tools.filter(|((_, tool), _)| shared.shows(&snapshot, &tool.name, scope, viewer.as_ref()));
    Seen {
        // Where tools are searched, the list holds no more than their number.
        tools: if shared.searches(scope) {
            u64::try_from(tools.count()).unwrap_or(u64::MAX)
        } else {
            number(&mut tools.by_ref().map(|(_, hash)| hash))
        },
        resources: number(&mut lists.resource_hashes.iter().filter(|(bridge, _)| in_scope(*bridge)).map(|(_, it)| it)),
        prompts: number(&mut lists.prompt_hashes.iter().filter(|(bridge, _)| in_scope(*bridge)).map(|(_, it)| it)),
    }
}

// === impl Door ===

impl Door {
    async fn updated(&self, uri: String) -> Result<(), String> {
        match self {
            Self::Session(peer) => {
                let updated = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(updated).await.map_err(|error| error.to_string())
            }
            Self::Subscription(context) => {
                context.sink().notify_resource_updated(uri).await.map_err(|error| error.to_string())
            }
        }
    }

    async fn tell(&self, kind: Kind) -> Result<(), String> {
        match self {
            Self::Session(peer) => match kind {
                Kind::Tools => peer.notify_tool_list_changed().await,
                Kind::Resources => peer.notify_resource_list_changed().await,
                Kind::Prompts => peer.notify_prompt_list_changed().await,
            }
            .map_err(|error| error.to_string()),
            Self::Subscription(context) => {
                let (sink, wanted) = (context.sink(), context.accepted());
                match kind {
                    Kind::Tools if wanted.tools_list_changed == Some(true) => sink.notify_tool_list_changed().await,
                    Kind::Resources if wanted.resources_list_changed == Some(true) => {
                        sink.notify_resource_list_changed().await
                    }
                    Kind::Prompts if wanted.prompts_list_changed == Some(true) => {
                        sink.notify_prompt_list_changed().await
                    }
                    Kind::Tools | Kind::Resources | Kind::Prompts => Ok(()),
                }
                .map_err(|error| error.to_string())
            }
        }
    }
}
