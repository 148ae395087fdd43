// PostGraphile as its own documents set it up for production: no explorer, no watching, its own check of
// JSON Web Tokens, and the claims as settings that the views of peer.sql ask.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PgLazyJWTPreset } from "postgraphile/presets/lazy-jwt";

const { PEER_DATABASE, PEER_PORT, PEER_SECRET, PEER_POOL } = process.env;

const instance = postgraphile({
  extends: [PostGraphileAmberPreset, PgLazyJWTPreset],
  pgServices: [
    makePgService({
      connectionString: PEER_DATABASE,
      poolConfig: { max: Number(PEER_POOL) },
      schemas: ["peer"],
    }),
  ],
  grafserv: {
    websockets: false,
    graphiql: false,
    watch: false,
    pgJwtSecret: Buffer.from(PEER_SECRET, "base64"),
    pgJwtVerifyOptions: { audience: "group-membership-hub/api" },
  },
});
const server = createServer();
await instance.createServ(grafserv).addTo(server);
server.keepAliveTimeout = 60_000;
server.listen(Number(PEER_PORT), "127.0.0.1", () => console.log("ready"));
