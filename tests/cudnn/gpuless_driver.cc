// A CUDA driver that finds no device: enough for cuDNN to make and compile plans against a device profile. cuDNN's
// compiling engines want a libcuda.so.1 before they answer; with this one they compile, and skip loading the result.
extern "C" {

int cuInit(unsigned) {
  return 100;
}  // CUDA_ERROR_NO_DEVICE
int cuDeviceGetCount(int* count) {
  *count = 0;
  return 0;
}
int cuGetErrorString(int, const char** text) {
  *text = "no GPU";
  return 0;
}

// CUDA_ERROR_NOT_SUPPORTED
#define NOT_SUPPORTED(name) \
  int name() {              \
    return 801;             \
  }
NOT_SUPPORTED(cuCtxGetCurrent)
NOT_SUPPORTED(cuCtxGetLimit)
NOT_SUPPORTED(cuCtxPopCurrent)
NOT_SUPPORTED(cuCtxPushCurrent)
NOT_SUPPORTED(cuStreamGetCtx)
NOT_SUPPORTED(cuLinkCreate)
NOT_SUPPORTED(cuLinkAddData)
NOT_SUPPORTED(cuLinkComplete)
NOT_SUPPORTED(cuLinkDestroy)
NOT_SUPPORTED(cuLaunchKernel)
NOT_SUPPORTED(cuLaunchCooperativeKernel)
NOT_SUPPORTED(cuLaunchKernelEx)
NOT_SUPPORTED(cuDeviceGet)
NOT_SUPPORTED(cuLibraryLoadData)
NOT_SUPPORTED(cuLibraryLoadFromFile)
NOT_SUPPORTED(cuLibraryGetKernel)
NOT_SUPPORTED(cuLibraryUnload)
NOT_SUPPORTED(cuKernelGetFunction)
NOT_SUPPORTED(cuKernelGetAttribute)
NOT_SUPPORTED(cuKernelSetAttribute)
NOT_SUPPORTED(cuModuleLoadData)
NOT_SUPPORTED(cuModuleGetFunction)
NOT_SUPPORTED(cuModuleUnload)
NOT_SUPPORTED(cuFuncSetAttribute)
NOT_SUPPORTED(cuOccupancyMaxPotentialClusterSize)
NOT_SUPPORTED(cuGetErrorName)
NOT_SUPPORTED(cuDriverGetVersion)
NOT_SUPPORTED(cuGetExportTable)

}  // extern "C"
