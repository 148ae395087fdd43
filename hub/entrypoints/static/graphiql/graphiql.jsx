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
const headers = JSON.stringify({ Authorization: "Bearer <token>" }, null, 2);

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={createGraphiQLFetcher({ url: location.pathname })}
    defaultQuery={query}
    defaultHeaders={headers}
    defaultEditorToolsVisibility="headers"
    shouldPersistHeaders={false}
  />,
);
