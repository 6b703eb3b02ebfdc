# Sourced by the benchmark scripts: the Python environment of the peers, outside the tree.
environment=${PYTHON_ENVIRONMENT:-$HOME/.cache/dermatome/pytorch}
python=$environment/bin/python

# What bench/pytorch needs.
has_peers() {
  [ -x "$python" ] && "$python" -c 'import importlib.util as u, sys
sys.exit(any(u.find_spec(n) is None for n in ("torch", "numpy", "PIL", "safetensors", "onnx", "onnxruntime", "openvino")))'
}

# The versions of the committed records (bench/results), so that another day's environment compares with them.
peers=(torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 pillow==13.0.0 safetensors==0.8.0)

make_environment() {
  has_peers && return
  [ -x "$python" ] || python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet "${peers[@]}"
}
