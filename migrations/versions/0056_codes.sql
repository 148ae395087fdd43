-- Whoever asks for codes to a phone uses up those that they may ask for, and few of those that
-- others may: limits count by who asks (an address, or a device that signed in before) and, with
-- more room, by the phone. A code that did not arrive is sent again, and stays one code with its
-- five attempts.
ALTER TABLE verification
  ADD COLUMN asked_by bytea CHECK (length(asked_by) = 16),
  ADD COLUMN resent_as bigint,
  ADD COLUMN resends smallint NOT NULL DEFAULT 0 CHECK (resends BETWEEN 0 AND 2),
  ADD CHECK ((resends = 0) = (resent_as IS NULL));
COMMENT ON COLUMN verification.asked_by IS
  'keyed hash of the address or device that a code to sign in was asked for from';
COMMENT ON COLUMN verification.resent_as IS
  'what the gateway is told as the number of the message that was sent last';
