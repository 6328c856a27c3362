use std::collections::BTreeMap;

use hayloft::Feed;
use serde::Deserialize;

use super::Right;

/// Rules that give rights to people, as the setting `access.rules` has them: a JSON array.
///
/// The rules that apply to a question are ordered: those for one user before those for many, then
/// those for one feed, for a feed group and for all feeds; of two alike a restriction comes first.
/// The first one decides. Where none applies the answer is no. A rule is bound to the number of its
/// feed, so that it does not pass on to another feed of that name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Rules(Vec<Rule>);

/// Numbers of feeds by the name of their group, as the setting `feed.groups` has them: a JSON object
/// of arrays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct FeedGroups(BTreeMap<String, Vec<u32>>);

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    principal: Principal,
    task: Task,
    #[serde(default)]
    feed: Option<u32>,
    #[serde(default)]
    feed_group: Option<String>,
    /// Takes the rights away instead of giving them.
    #[serde(default)]
    restrict: bool,
}

/// Whom a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
enum Principal {
    Everyone,
    Authenticated,
    Anonymous,
    User(String),
}

impl From<String> for Principal {
    fn from(text: String) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "everyone" => Self::Everyone,
            "authenticated" => Self::Authenticated,
            "anonymous" => Self::Anonymous,
            _ => Self::User(text),
        }
    }
}

/// A named set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Task {
    #[serde(rename = "Administer")]
    Administer,
    #[serde(rename = "Manage Feed")]
    ManageFeed,
    #[serde(rename = "Promote Packages")]
    Promote,
    #[serde(rename = "Publish Packages")]
    Publish,
    #[serde(rename = "View & Download Packages")]
    View,
}

impl Task {
    fn has(self, right: Right) -> bool {
        match right {
            Right::View | Right::Download => true,
            Right::Add => matches!(self, Self::Administer | Self::ManageFeed | Self::Publish),
            Right::AcceptPromotion => {
                matches!(self, Self::Administer | Self::ManageFeed | Self::Promote)
            }
            Right::Overwrite | Right::Delete | Right::SetStatus | Right::ManageFeed => {
                matches!(self, Self::Administer | Self::ManageFeed)
            }
            Right::ManageFeeds | Right::Administer => self == Self::Administer,
        }
    }
}

/// How narrow a rule's scope is; the narrower one decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Feed,
    Group,
    All,
}

impl Rules {
    /// These rules and one that lets everybody without a credential read.
    pub(crate) fn with_anonymous_reading(mut self) -> Self {
        self.0.push(Rule {
            principal: Principal::Anonymous,
            task: Task::View,
            feed: None,
            feed_group: None,
            restrict: false,
        });
        self
    }

    /// Whether `user`, or without one the anonymous caller, has the right in the feed; without a
    /// feed only rules for all feeds count.
    pub(crate) fn allow(
        &self,
        groups: &FeedGroups,
        user: Option<&str>,
        right: Right,
        feed: Option<&Feed>,
    ) -> bool {
        let deciding = self
            .0
            .iter()
            .filter(|rule| rule.task.has(right) && rule.principal.is(user))
            .filter_map(|rule| {
                let many = !matches!(rule.principal, Principal::User(_));
                Some((many, rule.scope(groups, feed)?, !rule.restrict))
            })
            .min();
        deciding.is_some_and(|(_, _, permit)| permit)
    }
}

impl Principal {
    fn is(&self, user: Option<&str>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Authenticated => user.is_some(),
            Self::Anonymous => user.is_none(),
            Self::User(name) => user.is_some_and(|user| user.eq_ignore_ascii_case(name)),
        }
    }
}

impl Rule {
    /// How the rule reaches the feed, if it does.
    fn scope(&self, groups: &FeedGroups, feed: Option<&Feed>) -> Option<Scope> {
        match (&self.feed, &self.feed_group) {
            (None, None) => Some(Scope::All),
            (Some(id), _) => (feed?.id == *id).then_some(Scope::Feed),
            (None, Some(group)) => groups.have(group, feed?).then_some(Scope::Group),
        }
    }
}

impl FeedGroups {
    /// Whether the group exists and the feed is in it.
    pub(crate) fn have(&self, group: &str, feed: &Feed) -> bool {
        self.0
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(group))
            .any(|(_, feeds)| feeds.contains(&feed.id))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn feed() -> Feed {
        let directory = tempfile::tempdir().unwrap();
        let store = hayloft::open(directory.path()).unwrap();
        let draft = hayloft::FeedDraft::new("apps", "universal");
        store.create_feed(draft, &hayloft::Actor::system()).unwrap()
    }

    #[rstest]
    #[case::nothing_is_allowed_without_a_rule("[]", Some("eva"), Right::View, false)]
    #[case::a_rule_for_the_user(
        r#"[{"principal":"Eva","task":"Publish Packages"}]"#,
        Some("eva"),
        Right::Add,
        true
    )]
    #[case::a_rule_for_another(
        r#"[{"principal":"adam","task":"Publish Packages"}]"#,
        Some("eva"),
        Right::Add,
        false
    )]
    #[case::publishing_does_not_delete(
        r#"[{"principal":"eva","task":"Publish Packages"}]"#,
        Some("eva"),
        Right::Delete,
        false
    )]
    #[case::a_restriction_beats_a_permission_of_equal_rank(
        r#"[{"principal":"eva","task":"Publish Packages"},
            {"principal":"eva","task":"Publish Packages","restrict":true}]"#,
        Some("eva"),
        Right::Add,
        false
    )]
    #[case::a_user_beats_everyone(
        r#"[{"principal":"everyone","task":"Publish Packages","feed":1,"restrict":true},
            {"principal":"eva","task":"Publish Packages"}]"#,
        Some("eva"),
        Right::Add,
        true
    )]
    #[case::a_feed_beats_a_group(
        r#"[{"principal":"eva","task":"Publish Packages","feedGroup":"all","restrict":true},
            {"principal":"eva","task":"Publish Packages","feed":1}]"#,
        Some("eva"),
        Right::Add,
        true
    )]
    #[case::a_group_beats_the_whole(
        r#"[{"principal":"eva","task":"Publish Packages"},
            {"principal":"eva","task":"Publish Packages","feedGroup":"all","restrict":true}]"#,
        Some("eva"),
        Right::Add,
        false
    )]
    #[case::an_unknown_group_reaches_no_feed(
        r#"[{"principal":"eva","task":"Publish Packages","feedGroup":"none"}]"#,
        Some("eva"),
        Right::Add,
        false
    )]
    #[case::the_authenticated_are_not_anonymous(
        r#"[{"principal":"authenticated","task":"View & Download Packages"}]"#,
        None,
        Right::View,
        false
    )]
    #[case::everyone_is_also_the_anonymous(
        r#"[{"principal":"everyone","task":"View & Download Packages"}]"#,
        None,
        Right::View,
        true
    )]
    fn the_narrowest_rule_decides(
        #[case] rules: &str,
        #[case] user: Option<&str>,
        #[case] right: Right,
        #[case] expected: bool,
    ) {
        let rules: Rules = serde_json::from_str(rules).unwrap();
        let groups: FeedGroups = serde_json::from_str(r#"{"all":[1]}"#).unwrap();
        assert_eq!(rules.allow(&groups, user, right, Some(&feed())), expected);
    }

    #[test]
    fn a_rule_for_a_feed_says_nothing_about_the_whole_store() {
        let rules: Rules =
            serde_json::from_str(r#"[{"principal":"eva","task":"Administer","feed":1}]"#).unwrap();
        assert!(!rules.allow(&FeedGroups::default(), Some("eva"), Right::Administer, None));
    }

    #[test]
    fn misspelled_rules_are_refused() {
        for text in [
            r#"[{"principal":"eva","task":"publish"}]"#,
            r#"[{"principal":"eva","task":"Administer","feeds":1}]"#,
        ] {
            assert!(serde_json::from_str::<Rules>(text).is_err(), "{text}");
        }
    }
}
