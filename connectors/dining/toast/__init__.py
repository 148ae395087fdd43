"""Toast: a restaurant's checks, refunds and guests, and its synchronous loyalty protocol."""

from connectors.dining.toast.dialect import Toast

connector = Toast()
