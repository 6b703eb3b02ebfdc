// A kernel that needs more registers than it is given: the compiler's switches must refuse it.
__global__ void __launch_bounds__(1024, 2) spilling(float* x) {
  float value[96];
  for (int i = 0; i < 96; ++i) value[i] = x[threadIdx.x + 1024 * i];
  __syncthreads();
  for (int k = 0; k < 96; ++k) {
    for (int i = 0; i < 96; ++i) value[i] = value[i] * value[(i * 7 + 3) % 96] + value[k];
  }
  for (int i = 0; i < 96; ++i) x[threadIdx.x + 1024 * i] = value[i];
}
