-- What a connection's system delivered is listed in the order in which it came, and found by when it came.
--
-- Numbers are given in another order where several take deliveries at once: a time does not tell a number.
-- The log of what is told is indexed alike.
--
-- What takes the strongest lock comes first: who holds a weaker one, and waits for a stronger, may do so with
-- another who does.

DROP INDEX delivery_dead;
CREATE INDEX delivery_dead ON delivery (connection_id, received_at, delivery_id)
  WHERE state = 'dead' AND shredded_at IS NULL;
CREATE INDEX delivery_received ON delivery (connection_id, received_at, delivery_id)
  WHERE shredded_at IS NULL;
