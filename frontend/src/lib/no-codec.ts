/** In place of the codecs of Zarr, a format that the server does not send. */
const codec = {
  fromConfig(): never {
    throw new Error("Zarr is not read here.");
  },
};
export default codec;
