//! Asks for page after page; which one is next, `shape` says.

use tokio::time::Instant;

use super::Upstream;
use crate::call::{CallError, Request};
use crate::catalog::encode_segment;
use crate::principal::Principal;
use crate::progress;
use crate::shape::{Following, Pages, Reply};

/// Sends a request and follows the pages of its answer. The pages together have the time of as many requests, and are
/// held to the size of one answer.
///
/// # Errors
/// Returns what [`Upstream::send`] does, and [`CallError::Upstream`] for pages that are no pages or lead elsewhere.
pub async fn all(
    upstream: &dyn Upstream,
    request: &Request,
    pages: &Pages,
    who: &Principal,
) -> Result<Reply, CallError> {
    let mut page = upstream.send(request, who).await?;
    if !(200..300).contains(&page.status) {
        return Ok(page);
    }
    let mut asked = upstream.follow(request, "")?;
    let mut seen = vec![place(&asked)];
    let mut bytes = page.body.len();
    let started = Instant::now();
    let mut following = pages.following(&page).map_err(CallError::Upstream)?;
    let mut gathered = pages.begin(page).map_err(CallError::Upstream)?;
    loop {
        let next = next(upstream, &asked, &following)?;
        // An API that leads in a circle has no more pages.
        let Some(next) = next.filter(|next| !seen.contains(&place(next))) else {
            return Ok(gathered.finish(false));
        };
        let pages_in_time = u32::try_from(gathered.count()).unwrap_or(u32::MAX);
        let is_late = started.elapsed() > request.timeout.saturating_mul(pages_in_time);
        if gathered.count() >= pages.max_pages || is_late {
            return Ok(gathered.finish(true));
        }
        asked = next;
        progress::tell(|| format!("Page {}", gathered.count() + 1));
        page = upstream.send(&asked, who).await?;
        if !(200..300).contains(&page.status) {
            return Ok(page);
        }
        bytes += page.body.len();
        if bytes > upstream.max_response_bytes() {
            return Ok(gathered.finish(true));
        }
        seen.push(place(&asked));
        following = pages.following(&page).map_err(CallError::Upstream)?;
        gathered.add(&page).map_err(CallError::Upstream)?;
    }
}

fn next(upstream: &dyn Upstream, asked: &Request, following: &Following) -> Result<Option<Request>, CallError> {
    match following {
        Following::Nothing => Ok(None),
        Following::Url(written) => upstream.follow(asked, written).map(Some),
        Following::Cursor { name, value } => {
            let mut request = asked.clone();
            if let Some(page) = &mut request.page {
                let pairs: Vec<String> = page
                    .query()
                    .unwrap_or_default()
                    .split('&')
                    .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(&encode_segment(name)))
                    .map(str::to_owned)
                    .chain([format!("{}={}", encode_segment(name), encode_segment(value))])
                    .collect();
                page.set_query(Some(&pairs.join("&")));
            }
            Ok(Some(request))
        }
    }
}

/// What tells one page from another.
fn place(request: &Request) -> Option<String> {
    request.page.as_ref().map(ToString::to_string)
}
