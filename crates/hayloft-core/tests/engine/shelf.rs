//! A feed type that keeps an index of every kind.

use std::ops::ControlFlow;

use hayloft_feed::native::{
    Answer, ClientSetup, FeedCard, FeedView, Native, Refresh, RefreshOrder, Request, Resource,
    SampleRequest, ViewError, Want,
};
use hayloft_feed::{
    FeedType, FeedTypeError, Fragment, Identity, IndexChange, IndexError, IndexWriter, Inspected,
    Limits, PackageName, Qualifiers, Repackage, Repackaged, SearchRecord, Timestamp, Upload,
    Version, VersionChange,
};

use crate::plain::{Plain, package};

/// The plain type with an index: a row per package with its visible versions, a log of all that
/// happened, a log per package that is begun anew when something goes, and words to find it by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shelf {
    pub(crate) revision: u32,
    /// Name of a package whose hook fails.
    pub(crate) fails: Option<&'static str>,
    /// Whether the log of all that happened is begun anew when it is tidied.
    pub(crate) tidies: bool,
}

pub(crate) const SHELF: Shelf = Shelf { revision: 1, fails: None, tidies: false };

fn line(change: &VersionChange) -> Option<Vec<u8>> {
    let after = change.after.as_ref()?;
    let file = after.files.first()?;
    (after.status.is_listed() && !after.status.is_blocked())
        .then(|| after.fragment(file.id.number, 1).unwrap().to_vec())
}

impl FeedType for Shelf {
    fn tag(&self) -> &'static str {
        Plain.tag()
    }
    fn remembered_qualifiers(&self) -> &'static [&'static str] {
        Plain.remembered_qualifiers()
    }
    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        Plain.package_name(group, name)
    }
    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        Plain.version(text)
    }
    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        Plain.qualifiers(asked)
    }
    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let size = upload.size;
        let mut inspected = Plain.inspect(upload, limits)?;
        let text = format!("{}\n", inspected.identity.version);
        inspected.fragments.push(Fragment { kind: 1, bytes: text.into_bytes() });
        if size < 100 {
            return Ok(inspected);
        }
        // Takes more than one row.
        let noise = package("noise", "1", 7, 40_000);
        inspected.fragments.push(Fragment { kind: 2, bytes: noise });
        Ok(inspected)
    }
    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        Plain.repackage(order, limits)
    }
    fn file_name(&self, identity: &Identity) -> String {
        Plain.file_name(identity)
    }
    fn index_revision(&self) -> u32 {
        self.revision
    }
    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }
    fn tidy(
        &self,
        view: &dyn FeedView,
        now: Timestamp,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        if !self.tidies || view.log(b"events")?.is_none_or(|head| head.length < 20) {
            return Ok(());
        }
        out.restart(b"events")?;
        out.append(b"events", format!("tidied at {}\n", now.millis()).as_bytes())?;
        Ok(())
    }
    fn is_history(&self, key: &[u8]) -> bool {
        key == b"signed"
    }
    fn normal_form(&self, log: &[u8], bytes: Vec<u8>) -> Vec<u8> {
        // The order of events differs when they are derived anew.
        if log == b"events" { Vec::new() } else { bytes }
    }
    fn index(
        &self,
        change: &IndexChange<'_>,
        view: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        let name = change.name.name();
        if self.fails == Some(name) {
            let what = "as it was told to".to_owned();
            return Err(IndexError::Unexpected { package: name.to_owned(), what });
        }
        let log = format!("info/{name}").into_bytes();
        let mut lines = Vec::new();
        view.versions(change.name.key(), &Want::fragments(&[1]), &mut |entry| {
            if entry.status.is_listed() && !entry.status.is_blocked() {
                lines.extend_from_slice(entry.fragment(1).unwrap());
            }
            ControlFlow::Continue(())
        })?;
        for version in change.versions {
            let added = version.before.is_none().then(|| line(version)).flatten();
            match added {
                // Appending is enough while nothing comes before what is there.
                Some(line) if lines.ends_with(&line) => {
                    out.append(&log, &line)?;
                }
                _ => {
                    out.restart(&log)?;
                    out.append(&log, &lines)?;
                    break;
                }
            }
        }
        if change.before.is_none() != change.after.is_none() {
            out.bump(b"root")?;
        }
        let Some(head) = change.after else {
            out.remove(name.as_bytes())?;
            out.remove_log(&log)?;
            out.append(b"events", format!("{name} gone\n").as_bytes())?;
            return out.search(None);
        };
        out.append(b"events", format!("{name} {}\n", head.versions).as_bytes())?;
        // More than a row takes.
        out.put(name.as_bytes(), &lines.repeat(4_000))?;
        let terms = name.split('-').map(str::to_owned).chain([name.to_owned()]).collect();
        out.search(Some(&SearchRecord { terms, flags: u8::from(!lines.is_empty()) }))?;
        out.stale(b"signed")
    }
}

impl Native for Shelf {
    fn prefix(&self) -> &'static str {
        "shelf"
    }
    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        if request.path == "/signed" && !request.refreshed {
            return Ok(Answer::Refresh(b"signed".to_vec()));
        }
        let Some(row) = view.row(request.path.trim_start_matches('/').as_bytes())? else {
            return Ok(Answer::not_found());
        };
        Ok(Answer::Resource(Resource::document(view.validator(1, &[]), "text/plain", move |out| {
            Ok(out.write_all(&row)?)
        })))
    }
    fn refresh(
        &self,
        view: &dyn FeedView,
        subject: &[u8],
        order: &RefreshOrder<'_>,
    ) -> Result<Option<Refresh>, ViewError> {
        assert_eq!(subject, b"signed");
        let mut signed = order.secret.map_or_else(|| order.seed.to_vec(), <[u8]>::to_vec);
        let secret = order.secret.is_none().then(|| order.seed.to_vec());
        view.rows(b"", None, &mut |key, _| {
            if key != b"signed" {
                signed.extend_from_slice(key);
            }
            ControlFlow::Continue(())
        })?;
        let before = view.row(b"signed")?;
        Ok(Some(Refresh {
            expect: Some((b"signed".to_vec(), before)),
            put: vec![(b"signed".to_vec(), signed)],
            bump: vec![b"signed".to_vec()],
            secret,
            ..Refresh::default()
        }))
    }
    fn samples(&self) -> Vec<SampleRequest> {
        vec![SampleRequest::read("/a")]
    }
    fn setup(&self, _: &FeedCard, _: &str, _: Option<&str>) -> Vec<ClientSetup> {
        Vec::new()
    }
}
