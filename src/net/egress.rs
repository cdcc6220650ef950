//! Which addresses may be connected to. The check is of the address itself, after the name has been resolved and right
//! before the connection, so that a name which changes its mind in between (DNS rebinding) gains nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Where clouds keep their metadata outside of the link-local range: AWS and Google over IPv6, Azure, Alibaba, Oracle.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Which addresses may be connected to. Link-local addresses and those of cloud metadata never may.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Whether private addresses are refused. A loopback address that is written as such is not private: whoever wrote it
    /// meant this machine. A name that leads there may not have.
    pub refuses_private: bool,
    /// Ranges that are refused besides.
    pub denied: Arc<[Range]>,
}

/// A range of addresses in CIDR notation, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    prefix: u8,
}

/// An address that may not be connected to. It does not say which: errors travel to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its address may not be connected to (`network` of the server file; metadata and link-local addresses never)")]
pub struct Forbidden;

/// Who has said which address it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// The admin has written the address, or `localhost`.
    Written,
    /// A name has led to it.
    Resolved,
}

/// Resolves names to the addresses that may be connected to.
pub(super) struct Gate<L> {
    egress: Egress,
    lookup: L,
}

// === impl Egress ===

impl Egress {
    /// Looks at a URL whose host is an address; a name is looked at when it has been resolved.
    ///
    /// # Errors
    /// Returns [`Forbidden`] for an address that may not be connected to.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.allows(address, Said::Written) { Ok(()) } else { Err(Forbidden) }
    }

    fn allows(&self, address: IpAddr, said: Said) -> bool {
        let address = plain(address);
        let is_denied = self.denied.iter().any(|range| range.holds(address));
        let is_local = is_link_local(address) || METADATA.contains(&address);
        if is_denied || is_local {
            return false;
        }
        let is_here = address.is_loopback() || address.is_unspecified();
        !self.refuses_private || !(is_private(address) || is_here && said == Said::Resolved)
    }
}

// === impl Range ===

impl Range {
    fn holds(&self, address: IpAddr) -> bool {
        // Of addresses of two families, neither lies in a range of the other.
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let unlike = u32::from(first) ^ u32::from(address);
                unlike.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let unlike = u128::from(first) ^ u128::from(address);
                unlike.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Range {
    type Err = &'static str;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = written.split_once('/').map_or((written, None), |(it, prefix)| (it, Some(prefix)));
        let first: IpAddr = address.parse().map_err(|_| "write a range such as `10.0.0.0/8`, or one address")?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().ok().filter(|it| *it <= most).ok_or("what follows the `/` is too large")?,
        };
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.prefix)
    }
}

// === impl Gate ===

impl Gate<()> {
    /// Asks the system about names.
    pub(super) fn new(egress: Egress) -> Gate<impl Fn(String) -> Looking + Send + Sync> {
        Gate {
            egress,
            lookup: |name: String| -> Looking {
                Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
            },
        }
    }
}

/// A question about a name.
type Looking = std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl<L: Fn(String) -> Looking + Send + Sync> Resolve for Gate<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        // Whoever writes `localhost` means this machine (RFC 6761).
        let said = if name.eq_ignore_ascii_case("localhost") { Said::Written } else { Said::Resolved };
        let (egress, looking) = (self.egress.clone(), (self.lookup)(name));
        Box::pin(async move {
            let found = looking.await?;
            let was_found = !found.is_empty();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|it| egress.allows(it.ip(), said)).collect();
            if allowed.is_empty() && was_found {
                return Err(Forbidden.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// The address that is really meant: IPv6 has several ways to write an IPv4 address, and networks that translate them.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| {
        let ([first, second], [third, fourth]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(first, second, third, fourth))
    };
    match v6.segments() {
        // Mapped (RFC 4291), translated by NAT64 (RFC 6052), and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        // Compatible (RFC 4291, long gone); two of these are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if !v6.is_loopback() && !v6.is_unspecified() => v4(high, low),
        _ => address,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // With the range of carriers (RFC 6598).
        IpAddr::V4(address) => address.is_private() || matches!(address.octets(), [100, 64..=127, ..]),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn egress(refuses_private: bool, denied: &[&str]) -> Egress {
        Egress { refuses_private, denied: denied.iter().map(|range| range.parse().unwrap()).collect() }
    }

    fn checked(egress: &Egress, host: &str) -> bool {
        egress.check(&format!("http://{host}/").parse().unwrap()).is_ok()
    }

    #[test]
    fn metadata_and_link_local_addresses_never_may_however_they_are_written() {
        let open = Egress::default();
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[::a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "168.63.129.16",
            "100.100.100.200",
        ] {
            assert!(!checked(&open, host), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "[fd00::1]", "1.1.1.1", "169.253.0.1", "a.b"] {
            assert!(checked(&open, host), "{host}");
        }
    }

    #[test]
    fn private_addresses_and_ranges_can_be_refused() {
        let closed = egress(true, &["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "::ffff:0:0/96"]);
        for host in [
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "192.0.2.255",
            "198.51.100.7",
            "[2001:db8:1::]",
            "[::ffff:192.0.2.1]",
        ] {
            assert!(!checked(&closed, host), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "172.32.0.1", "192.0.3.0", "198.51.100.8", "[2001:db9::]", "100.128.0.1"] {
            assert!(checked(&closed, host), "{host}");
        }
        assert!(!checked(&egress(false, &["0.0.0.0/0"]), "1.2.3.4") && !checked(&egress(false, &["::/0"]), "[::1]"));
        for wrong in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "a/8", "10.0.0.0/8/8"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_a_name_leads_to_is_looked_at_each_time() {
        let ask = |egress: Egress, name: &str, found: &'static [&'static str]| {
            let asked = Arc::new(AtomicUsize::new(0));
            let gate = Gate {
                egress,
                lookup: move |_| -> Looking {
                    // A name that changes its mind: one address after the other.
                    let one = found.get(asked.fetch_add(1, Ordering::Relaxed)).copied().unwrap_or_default();
                    Box::pin(async move {
                        Ok(one.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
                    })
                },
            };
            let name = name.to_owned();
            async move {
                let mut all = Vec::new();
                for _ in found {
                    let came = gate.resolve(name.parse().unwrap()).await;
                    all.push(came.map(Iterator::count).map_err(|error| error.is::<Forbidden>()));
                }
                all
            }
        };
        let open = Egress::default;
        assert_eq!(ask(open(), "a.example", &["1.1.1.1", "169.254.169.254"]).await, [Ok(1), Err(true)]);
        assert_eq!(ask(open(), "a.example", &["1.1.1.1 ::ffff:169.254.169.254 10.0.0.1"]).await, [Ok(2)]);
        assert_eq!(ask(open(), "a.example", &["127.0.0.1", ""]).await, [Ok(1), Ok(0)]);
        let closed = || egress(true, &[]);
        assert_eq!(ask(closed(), "a.example", &["127.0.0.1", "0.0.0.0", "::1", "10.0.0.1"]).await, [Err(true); 4]);
        assert_eq!(ask(closed(), "localhost", &["127.0.0.1", "10.0.0.1"]).await, [Ok(1), Err(true)]);
    }
}
