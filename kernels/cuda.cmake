# The GPU backend: what it needs, and how its files are compiled. Sets DERMATOME_HAS_CUDA. cudart is linked statically;
# the driver, cuDNN and cuBLASLt are loaded when a GPU is used, so the binary starts where none of them is.
set(DERMATOME_HAS_CUDA OFF)
if(NOT DERMATOME_CUDA STREQUAL "OFF")
  find_program(DERMATOME_NVCC nvcc HINTS ENV CUDA_HOME /usr/local/cuda PATH_SUFFIXES bin)
  cmake_path(GET DERMATOME_NVCC PARENT_PATH cuda_bin)
  cmake_path(GET cuda_bin PARENT_PATH cuda_home)
  find_path(DERMATOME_CUDNN_INCLUDE cudnn.h HINTS "${cuda_home}/include" ENV CUDNN_HOME PATH_SUFFIXES include)
  find_path(DERMATOME_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
            HINTS "$ENV{HOME}/.cache/dermatome/cudnn-frontend/include" "${cuda_home}/include" DOC "tools/scripts/cudnn_frontend.sh gets it")
  find_path(DERMATOME_CUBLASLT_INCLUDE cublasLt.h HINTS "${cuda_home}/include")
  set(cuda_missing)
  foreach(need NVCC CUDNN_INCLUDE CUDNN_FRONTEND_INCLUDE CUBLASLT_INCLUDE)
    if(NOT DERMATOME_${need})
      list(APPEND cuda_missing DERMATOME_${need})
    endif()
  endforeach()
  if(NOT cuda_missing)
    set(DERMATOME_HAS_CUDA ON)
  elseif(DERMATOME_CUDA STREQUAL "ON")
    message(FATAL_ERROR "DERMATOME_CUDA=ON, but not found: ${cuda_missing}")
  else()
    message(STATUS "No GPU backend: not found: ${cuda_missing}")
  endif()
endif()
if(NOT DERMATOME_HAS_CUDA)
  return()
endif()

# The last architecture's PTX lets newer GPUs run, too.
list(TRANSFORM DERMATOME_CUDA_ARCHITECTURES APPEND -real OUTPUT_VARIABLE CMAKE_CUDA_ARCHITECTURES)
list(GET DERMATOME_CUDA_ARCHITECTURES -1 newest_architecture)
list(APPEND CMAKE_CUDA_ARCHITECTURES ${newest_architecture}-virtual)
set(CMAKE_CUDA_COMPILER ${DERMATOME_NVCC})
if(NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_EXTENSIONS OFF)
find_package(CUDAToolkit REQUIRED)

# Adds the families' cuda.cu and the vendor files to dermatome_kernels.
function(add_cuda_backend)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/cuda.cu ${CMAKE_CURRENT_SOURCE_DIR}/*/cuda_*.cu)
  set(vendor_sources vendor/cublaslt.cpp vendor/cuda.cpp vendor/cudnn_convolution.cpp vendor/cudnn_host_plan.cpp
                     vendor/cudnn_plan_cache.cpp vendor/cudnn_plan_choice.cpp vendor/cudnn_products.cpp
                     vendor/shared_library.cpp)
  file(GLOB cudnn_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/cudnn.cpp)
  set_source_files_properties(${cuda_sources} PROPERTIES LANGUAGE CUDA)
  add_library(dermatome_cuda OBJECT ${cuda_sources})
  # -ffp-contract=off does not reach device code: there multiply-adds fuse, as the tolerances of the harness allow.
  target_compile_options(dermatome_cuda PRIVATE --extended-lambda -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers
                                                -Xptxas=-warn-spills)
  if(DERMATOME_WERROR)  # for ptxas, too: a kernel that spills registers does not build
    target_compile_options(dermatome_cuda PRIVATE -Werror=all-warnings -Xcompiler=-Werror -Xptxas=-Werror)
  endif()
  string(REPLACE "," ";" sanitizers "${DERMATOME_SANITIZE}")
  foreach(sanitizer IN LISTS sanitizers)
    target_compile_options(dermatome_cuda PRIVATE -Xcompiler=-fsanitize=${sanitizer})
  endforeach()
  target_include_directories(dermatome_cuda PRIVATE ${CMAKE_SOURCE_DIR})

  target_sources(dermatome_kernels PRIVATE ${vendor_sources} ${cudnn_sources} launch/cuda_table.cpp INTERFACE $<TARGET_OBJECTS:dermatome_cuda>)
  target_include_directories(dermatome_kernels SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${DERMATOME_CUDNN_INCLUDE}
                                                              ${DERMATOME_CUDNN_FRONTEND_INCLUDE} ${DERMATOME_CUBLASLT_INCLUDE})
  target_compile_definitions(dermatome_kernels PUBLIC DERMATOME_CUDA=1)
  # It describes graphs and runs no loop of its own, and the frontend's headers take longest of all to optimise.
  set_source_files_properties(vendor/cudnn.cpp PROPERTIES COMPILE_OPTIONS -O1)
  string(REPLACE ";" "," architectures "${DERMATOME_CUDA_ARCHITECTURES}")
  set_property(SOURCE ${vendor_sources} APPEND PROPERTY COMPILE_DEFINITIONS "DERMATOME_CUDA_ARCHITECTURES=${architectures}")
  target_link_libraries(dermatome_kernels PUBLIC CUDA::cudart_static)
endfunction()
