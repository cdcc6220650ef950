//! Snapshots that no files make, for tests.

use super::*;
use crate::credential::CredentialProvider;

impl Live {
    /// Loads the first snapshot, with all its APIs signed in to by this.
    pub(crate) fn signing_in_by(loader: Loader, credential: &Arc<dyn CredentialProvider>) -> Self {
        let (live, _) = Self::start(loader).map_err(|findings| findings.report).unwrap();
        let (mut snapshot, _) = live.loader.load(None).map_err(|findings| findings.report).unwrap();
        for api in snapshot.upstreams.iter_mut().flatten() {
            Arc::get_mut(api).unwrap().sign_in_by(Arc::clone(credential));
        }
        live.current.store(Arc::new(snapshot));
        live
    }
}
