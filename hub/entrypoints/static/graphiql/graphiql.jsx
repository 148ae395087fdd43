// The hub's GraphQL explorer. How it is built, and from what: see README.md here.
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import "graphiql/graphiql.css";

const query = `# Get a token with \`hub token --role staff\` and put it under Headers, below.
# Without one you may still ask this:
{
  programme {
    name
    timeZone
    currency
  }
}
`;
const example = "Bearer <token>";
const headers = JSON.stringify({ Authorization: example }, null, 2);

// As long as the example stands there, nobody is signed in; it must not count as a bad token.
function send(url, request) {
  const given = Object.entries(request.headers).filter(([, value]) => value !== example);
  return fetch(url, { ...request, headers: Object.fromEntries(given) });
}

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={createGraphiQLFetcher({ url: location.pathname, fetch: send })}
    defaultQuery={query}
    defaultHeaders={headers}
    defaultEditorToolsVisibility="headers"
    shouldPersistHeaders={false}
  />,
);
