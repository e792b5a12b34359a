export default {
  output: "export", // any file server can serve it
  basePath: "/next",
  typescript: { ignoreBuildErrors: true }, // the other apps check the types, and Next.js takes long
  turbopack: { root: new URL("../../..", import.meta.url).pathname }, // the folder with node_modules
};
