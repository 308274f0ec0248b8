/* A stand-in for NVIDIA's driver with one GPU of 8 GB, just enough for TensorFlow to see it and to look for its CUDA
 * libraries in its own way. Nothing can be computed with it. */
#include <stddef.h>
#include <string.h>

int cuInit(unsigned flags) { return flags != 0; }
int cuDriverGetVersion(int *version) { *version = 11080; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int size, int device) { (void)device; strncpy(name, "stand-in", (size_t)size); return 0; }
int cuDeviceGetPCIBusId(char *id, int size, int device) { (void)device; strncpy(id, "0000:01:00.0", (size_t)size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    /* Compute capability 8.0, eight multiprocessors. */
    *value = attribute == 75 ? 8 : attribute == 76 ? 0 : attribute == 16 ? 8 : 1;
    return 0;
}
int cuDeviceComputeCapability(int *major, int *minor, int device) { (void)device; *major = 8; *minor = 0; return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = (size_t)8 << 30; return 0; }
int cuDeviceGetProperties(void *properties, int device) { (void)device; memset(properties, 0, 48); return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { (void)device; *flags = 0; *active = 0; return 0; }
int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { (void)device; (void)flags; return 0; }
int cuGetErrorName(int error, const char **name) { (void)error; *name = "stand-in"; return 0; }
int cuGetErrorString(int error, const char **text) { (void)error; *text = "stand-in"; return 0; }
int cuCtxGetCurrent(void **context) { *context = NULL; return 0; }
/* Out of memory: there is no context to be had here. */
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = NULL; return 2; }
