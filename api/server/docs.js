/* global SwaggerUIBundle, SwaggerUIStandalonePreset */
const place = document.getElementById('swagger-ui')

SwaggerUIBundle({
  url: place.dataset.contract,
  domNode: place,
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  layout: 'StandaloneLayout',
  validatorUrl: null, // it would send the contract elsewhere
  defaultModelsExpandDepth: -1,
})
