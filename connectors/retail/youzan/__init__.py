"""有赞 Youzan: a shop's orders, refunds and customers, from pushed messages or its open API."""

from connectors.retail.youzan.dialect import Youzan

connector = Youzan()
