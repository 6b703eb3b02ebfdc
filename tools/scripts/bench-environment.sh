# Sourced by the benchmark scripts: the Python environment of the peers, outside the tree.
environment=${PYTHON_ENVIRONMENT:-$HOME/.cache/dermatome/pytorch}
python=$environment/bin/python

# What bench/pytorch needs.
has_peers() {
  [ -x "$python" ] && "$python" -c 'import importlib.util as u, sys
sys.exit(any(u.find_spec(n) is None for n in ("torch", "numpy", "PIL", "safetensors", "onnx", "onnxruntime", "openvino")))'
}

make_environment() {
  has_peers && return
  [ -x "$python" ] || python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet torch==2.15.0 numpy pillow safetensors onnx onnxruntime openvino
}
