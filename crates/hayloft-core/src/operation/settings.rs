use std::collections::BTreeMap;

use crate::records::SettingRecord;
use crate::space::Room;
use crate::{Action, Actor, Direction, Kept, Store, StoreError, TooLong, Want, rows, tables};

use super::audit::Entry;

/// A setting was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// A setting has to have a name.
    #[error("a setting without a name")]
    Nameless,
    /// Name or value are longer than the store keeps, or there are too many settings.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// A setting by name. Comes from memory.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found = self.inner.small()?.setting(name)?;
        Ok(found.map(|found| found.0.clone()))
    }

    /// As [`Store::setting`], for threads that must not wait: `None` if something would have to be
    /// read for the answer, which [`Store::setting`] then does.
    pub fn setting_at_hand(&self, name: &str) -> Option<Result<Option<String>, StoreError>> {
        let found = self.inner.small_at_hand()?.setting(name);
        Some(found.map(|found| found.map(|found| found.0.clone())))
    }

    /// All settings, but for those whose rows are damaged. Come from memory.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let small = self.inner.small()?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Ok(small.settings().map(|(name, value)| (text(name), value.0.clone())).collect())
    }

    /// Sets a setting, or removes it with `None`. The store reads none of them.
    pub fn set_setting(
        &self,
        name: &str,
        value: Option<&str>,
        actor: &Actor,
    ) -> Result<(), SettingError> {
        if name.is_empty() {
            return Err(SettingError::Nameless);
        }
        Kept::SettingName.check_text(name)?;
        Kept::SettingValue.check(value.map_or(0, str::len))?;
        actor.check()?;
        let (name, actor) = (name.to_owned(), actor.clone());
        let value = value.map(|value| SettingRecord(value.to_owned()));
        let hints = {
            let row = Want::Row(tables::SETTING, name.clone().into_bytes());
            let all = tables::prefixed(&[]);
            vec![row, Want::Range(tables::SETTING, all, Direction::Forward, rows::PAGE)]
        };
        self.inner.writer.change_expecting(Room::Needed, 4_096, hints, move |plan| {
            let key = name.clone().into_bytes();
            // A damaged one is replaced like any other.
            let found = rows::left_out(plan.get::<SettingRecord>(tables::SETTING, &key))?;
            if found == Some(value.clone()) {
                return Ok(());
            }
            if found == Some(None) {
                Kept::Settings.check(rows::count(plan, tables::SETTING)? + 1)?;
            }
            match &value {
                Some(value) => plan.put(tables::SETTING, key, value)?,
                None => plan.delete(tables::SETTING, key),
            }
            let entry = Entry {
                details: Some(serde_json::json!({ "name": name, "set": value.is_some() })),
                ..Entry::of(Action::Setting)
            };
            entry.write(plan, &actor)?;
            Ok(())
        })
    }
}
