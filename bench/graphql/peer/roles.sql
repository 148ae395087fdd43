-- As whom PostGraphile logs in, and what its callers are. Roles are the whole server's.
CREATE ROLE peer_member;
CREATE ROLE peer_staff;
CREATE ROLE peer_till;
CREATE ROLE peer_login LOGIN PASSWORD 'peer' NOINHERIT;
GRANT peer_member, peer_staff, peer_till TO peer_login;
