"""What becomes of Youzan's samples."""

OUTCOMES = {
    "youzan/trade_msg_1.scrubbed.json": "sale.completed E20190118092109008800023 1 CNY",
}
