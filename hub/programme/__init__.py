"""The group's businesses, agreements, earning rules and policies, as dated rows."""
