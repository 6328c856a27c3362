//! The audit log and the records of promotions and repackagings.

use super::ahead;
use super::run::{Look, Run, look, row};
use crate::operation::{Chain, ChainFault};
use crate::plan::Plan;
use crate::records::{MoreRepackagedRecord, PromotionRecord, RepackagingRecord};
use crate::tables::{self, HistoryKind};
use crate::{FindingCode, MetaRead, Row, StoreError, Want};

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
        let entries = |read: &dyn MetaRead, page: &[Row]| {
            let records = ahead::readable::<PromotionRecord>(tables::PROMOTION, page);
            let entries = records.map(|(key, record)| {
                entry(HistoryKind::Promotion, key, &record.tag, &record.name_key)
            });
            ahead::ask(read, tables::HISTORY, entries)
        };
        self.each_ahead(read, tables::PROMOTION, &entries, |run, key, record: PromotionRecord| {
            run.history_entry(read, HistoryKind::Promotion, key, &record.tag, &record.name_key)
        })?;
        let table = tables::REPACKAGING;
        self.each_ahead(read, table, &ask_about_repackagings, |run, key, record| {
            let record: RepackagingRecord = record;
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
        let of_parts = |read: &dyn MetaRead, page: &[Row]| {
            let numbers = page.iter().filter_map(|(key, _)| tables::u64_at(key, 0));
            ahead::ask(read, tables::REPACKAGING, numbers.map(tables::number))
        };
        let table = tables::REPACKAGING_FILES;
        self.each_ahead(read, table, &of_parts, |run, key, _: MoreRepackagedRecord| {
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
        self.each_key(read, tables::HISTORY, &ask_for_records, |run, key| {
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
        let index = entry(kind, key, tag, name_key);
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

/// The entry of the history index that a record must have.
fn entry(kind: HistoryKind, key: &[u8], tag: &str, name_key: &[u8]) -> Vec<u8> {
    tables::history(tag, name_key, kind, tables::u64_at(key, 0).unwrap_or_default())
}

fn ask_about_repackagings(read: &dyn MetaRead, page: &[Row]) -> Result<(), StoreError> {
    let mut wants = Vec::new();
    for (key, record) in ahead::readable::<RepackagingRecord>(tables::REPACKAGING, page) {
        let index = entry(HistoryKind::Repackaging, key, &record.tag, &record.name_key);
        wants.push(Want::Row(tables::HISTORY, index));
        let id = tables::u64_at(key, 0).unwrap_or_default();
        let parts = (0..record.more).map(|part| tables::part(id, part));
        wants.extend(parts.map(|part| Want::Row(tables::REPACKAGING_FILES, part)));
    }
    Ok(read.prefetch(&wants)?)
}

/// Asks for the records that entries of the history index lead to.
fn ask_for_records(read: &dyn MetaRead, page: &[Row]) -> Result<(), StoreError> {
    let mut wants = Vec::new();
    for (prefix, id) in page.iter().filter_map(|(key, _)| key.split_last_chunk::<8>()) {
        let is_promotion = prefix.last() == Some(&(HistoryKind::Promotion as u8));
        let table = if is_promotion { tables::PROMOTION } else { tables::REPACKAGING };
        wants.push(Want::Row(table, id.to_vec()));
    }
    Ok(read.prefetch(&wants)?)
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
