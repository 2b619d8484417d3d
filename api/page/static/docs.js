"use strict";

const bundle = /** @type {any} */ (window).SwaggerUIBundle;
bundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [bundle.presets.apis],
  validatorUrl: null,
});
