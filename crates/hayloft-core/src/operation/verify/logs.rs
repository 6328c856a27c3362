//! The audit log and the records of promotions and repackagings.

use super::run::{Look, Run, look, row};
use crate::operation::{Chain, ChainFault};
use crate::plan::Plan;
use crate::records::{MoreRepackagedRecord, PromotionRecord, RepackagingRecord};
use crate::tables::{self, HistoryKind};
use crate::{FindingCode, MetaRead, StoreError};

impl Run<'_> {
    /// Every row of the audit log follows from the one before, and the last is the last written.
    pub(super) fn audit_chain(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut chain = Chain::default();
        self.each_bytes(read, tables::AUDIT, |run, key, value| {
            for fault in chain.follow(key, value) {
                match fault {
                    ChainFault::Unreadable { error, .. } => {
                        run.unreadable(tables::AUDIT, key, &error);
                    }
                    ChainFault::Lost(_) => {}
                    fault => run.found(FindingCode::AuditChain, fault.to_string()),
                }
            }
            Ok(())
        })?;
        if let Some(fault) = chain.end(read)? {
            self.found(FindingCode::AuditChain, fault.to_string());
        }
        Ok(())
    }

    /// Every promotion and repackaging is found by its package, and nothing else is.
    pub(super) fn histories(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each(read, tables::PROMOTION, |run, key, record: PromotionRecord| {
            run.history_entry(read, HistoryKind::Promotion, key, &record.tag, &record.name_key)
        })?;
        self.each(read, tables::REPACKAGING, |run, key, record: RepackagingRecord| {
            for part in 0..record.more {
                let id = tables::u64_at(key, 0).unwrap_or_default();
                let part = tables::part(id, part);
                if read.get(tables::REPACKAGING_FILES, &part)?.is_none() {
                    let text = format!("{} is missing", row(tables::REPACKAGING_FILES, &part));
                    run.found(FindingCode::Row, text);
                }
            }
            run.history_entry(read, HistoryKind::Repackaging, key, &record.tag, &record.name_key)
        })?;
        self.each(read, tables::REPACKAGING_FILES, |run, key, _: MoreRepackagedRecord| {
            let id = tables::number(tables::u64_at(key, 0).unwrap_or_default());
            let part = key.get(8..).and_then(|part| part.try_into().ok()).map(u16::from_be_bytes);
            let wanted = match look::<RepackagingRecord>(read, tables::REPACKAGING, &id)? {
                Look::Missing => false,
                Look::Bad | Look::Newer => true,
                Look::Good(record) => part.is_some_and(|part| part < record.more),
            };
            if !wanted {
                let text = row(tables::REPACKAGING_FILES, key);
                run.found(FindingCode::HistoryIndex, format!("{text} belongs to no repackaging"));
            }
            Ok(())
        })?;
        self.each_key(read, tables::HISTORY, |run, key| {
            if leads_somewhere(read, key)? {
                return Ok(());
            }
            let text = format!("{} leads nowhere", row(tables::HISTORY, key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::HistoryIndex, text, move |plan| {
                if !leads_somewhere(plan, &key)? {
                    plan.delete(tables::HISTORY, key.clone());
                }
                Ok(true)
            })
        })
    }

    fn history_entry(
        &mut self,
        read: &dyn MetaRead,
        kind: HistoryKind,
        key: &[u8],
        tag: &str,
        name_key: &[u8],
    ) -> Result<(), StoreError> {
        let id = tables::u64_at(key, 0).unwrap_or_default();
        let index = tables::history(tag, name_key, kind, id);
        if read.get(tables::HISTORY, &index)?.is_some() {
            return Ok(());
        }
        let what = match kind {
            HistoryKind::Promotion => "promotion",
            HistoryKind::Repackaging => "repackaging",
        };
        let text = format!("{what} {id} is not found by its package");
        // Records never go, so there is nothing to look at again.
        self.found_mendable(FindingCode::HistoryIndex, text, move |plan: &mut Plan| {
            plan.put_entry(tables::HISTORY, index.clone())?;
            Ok(true)
        })
    }
}

/// True if a key of the history index is that of the record it leads to, or this cannot be told.
fn leads_somewhere(read: &dyn MetaRead, key: &[u8]) -> Result<bool, StoreError> {
    let Some((prefix, id)) = key.split_last_chunk::<8>() else { return Ok(false) };
    let id = u64::from_be_bytes(*id);
    let number = tables::number(id);
    let expected = match prefix.last() {
        Some(kind) if *kind == HistoryKind::Promotion as u8 => {
            match look::<PromotionRecord>(read, tables::PROMOTION, &number)? {
                Look::Missing => return Ok(false),
                Look::Bad | Look::Newer => return Ok(true),
                Look::Good(found) => {
                    tables::history(&found.tag, &found.name_key, HistoryKind::Promotion, id)
                }
            }
        }
        Some(kind) if *kind == HistoryKind::Repackaging as u8 => {
            match look::<RepackagingRecord>(read, tables::REPACKAGING, &number)? {
                Look::Missing => return Ok(false),
                Look::Bad | Look::Newer => return Ok(true),
                Look::Good(found) => {
                    tables::history(&found.tag, &found.name_key, HistoryKind::Repackaging, id)
                }
            }
        }
        _ => return Ok(false),
    };
    Ok(expected == key)
}
