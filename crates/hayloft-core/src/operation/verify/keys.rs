//! API keys, settings and the store's own numbers.

use super::run::{Look, Run, look, row};
use crate::downloads::LOG_POSITION;
use crate::plan::COUNTERS;
use crate::records::{
    CountersRecord, FormatRecord, KeyPlaceRecord, KeyRecord, LogPositionRecord, NumberRecord,
    SaltRecord, SettingRecord,
};
use crate::scrub::SCRUBBED_ROW;
use crate::small::SMALL_ROW;
use crate::store::{EPOCH_ROW, FORMAT_ROW, SALT_COPY_ROW, SALT_ROW};
use crate::{FindingCode, MetaRead, StoreError, codec, tables};

impl Run<'_> {
    /// Every API key is found by its digest, and every digest leads to a key.
    pub(super) fn keys(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each(read, tables::API_KEY, |run, key, record: KeyRecord| {
            let id = tables::u64_at(key, 0).unwrap_or_default();
            let digest = record.digest;
            match look(read, tables::API_KEY_HASH, &digest)? {
                Look::Good(KeyPlaceRecord(found)) if found == id => return Ok(()),
                Look::Newer => return Ok(()),
                Look::Good(_) | Look::Missing => {}
                Look::Bad => {
                    run.set_reported(tables::API_KEY_HASH, &digest);
                    let text = row(tables::API_KEY_HASH, &digest);
                    return run.found_mendable(FindingCode::Row, text, move |plan| {
                        plan.put(tables::API_KEY_HASH, digest.to_vec(), &KeyPlaceRecord(id))?;
                        Ok(true)
                    });
                }
            }
            run.set_reported(tables::API_KEY_HASH, &digest);
            let text = format!("API key {id} is not found by its digest");
            run.found_mendable(FindingCode::KeyIndex, text, move |plan| {
                if plan.get::<KeyRecord>(tables::API_KEY, &tables::number(id))?.is_some() {
                    plan.put(tables::API_KEY_HASH, digest.to_vec(), &KeyPlaceRecord(id))?;
                }
                Ok(true)
            })
        })?;
        self.each(read, tables::API_KEY_HASH, |run, key, KeyPlaceRecord(id)| {
            let leads_here = match look(read, tables::API_KEY, &tables::number(id))? {
                Look::Missing => false,
                Look::Bad | Look::Newer => true,
                Look::Good(KeyRecord { digest, .. }) => digest == *key,
            };
            if leads_here || run.is_reported(tables::API_KEY_HASH, key) {
                return Ok(());
            }
            let digest = key.to_vec();
            let text = format!("a digest leads to API key {id}, which is not there");
            run.found_mendable(FindingCode::KeyIndex, text, move |plan| {
                plan.delete(tables::API_KEY_HASH, digest.clone());
                Ok(true)
            })
        })
    }

    /// Settings and the store's own rows can be read.
    pub(super) fn settings(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each(read, tables::SETTING, |_, _, _: SettingRecord| Ok(()))?;
        self.each_bytes(read, tables::META, |run, key, value| {
            let table = tables::META;
            let decoded = match key {
                COUNTERS => codec::decode::<CountersRecord>(table, key, value).map(drop),
                FORMAT_ROW => codec::decode::<FormatRecord>(table, key, value).map(drop),
                EPOCH_ROW | SMALL_ROW | SCRUBBED_ROW => {
                    codec::decode::<NumberRecord>(table, key, value).map(drop)
                }
                SALT_ROW | SALT_COPY_ROW => {
                    codec::decode::<SaltRecord>(table, key, value).map(drop)
                }
                LOG_POSITION => codec::decode::<LogPositionRecord>(table, key, value).map(drop),
                // A newer release may keep more here.
                _ => Ok(()),
            };
            if let Err(error) = decoded {
                run.unreadable(table, key, &error);
                return Ok(());
            }
            Ok(())
        })
    }
}
