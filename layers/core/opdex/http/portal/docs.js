"use strict";
// Behind a stage, a base path, with a trailing slash or without: all addresses start where this page's own ends.
const base = location.pathname.replace(/\/+$/, "").replace(/\/docs$/, "");

const style = document.createElement("link");
style.rel = "stylesheet";
style.href = `${base}/docs/swagger-ui.css`;
document.head.append(style);

const script = document.createElement("script");
script.src = `${base}/docs/swagger-ui.js`;
script.onload = async () => {
  const spec = await (await fetch(`${base}/openapi.json`)).json();
  spec.servers = [{ url: base || "/" }];
  SwaggerUIBundle({
    dom_id: "#docs",
    spec,
    deepLinking: true,
    filter: true,
    validatorUrl: null,
    persistAuthorization: false,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
};
script.onerror = () => { document.getElementById("docs").textContent = "Swagger UI could not be loaded."; };
document.body.append(script);
