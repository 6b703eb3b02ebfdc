"""Writes one small net in every kind of weight file, files that must be refused, and what PyTorch computes with the net.

    python3 tests/models/weights/make_weights.py        # into this folder; needs torch and safetensors

The net is TINY below (tiny.graph of the tests): conv1 3x3 stride 2, bn1, relu, and the transposed convolution `out`. Its state
and the image come from the counter-based formula of tests/golden/make_golden.py, so C++ can rebuild them.
"""
import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import tarfile

import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
from make_golden import make_tensor  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.out = nn.ConvTranspose2d(4, 1, 2, stride=2)

    def forward(self, image):
        return self.out(functional.relu(self.bn1(self.conv1(image))))


def tiny_state():
    state = collections.OrderedDict()
    for key, value in Tiny().state_dict().items():
        state[key] = torch.tensor(7) if key.endswith("num_batches_tracked") else make_tensor(key, tuple(value.shape))
    return state


def save(state, name, **options):
    torch.save(state, HERE / name, **options)


def save_stream(state, name, **options):
    save(state, name, _use_new_zipfile_serialization=False, **options)


class OldParameter:
    """Pickles as torch 0.1 to 0.3 did a Parameter: the class called on the tensor, then its attributes."""

    def __init__(self, tensor):
        self.tensor = tensor


class OldPickler(pickle.Pickler):
    """Pickles tensors as torch 0.1's TAR does: by persistent ids; OldParameter as those versions did."""

    def __init__(self, stream, ids):
        super().__init__(stream, 2)
        self.ids = ids

    def persistent_id(self, value):
        return self.ids.get(id(value))

    def reducer_override(self, value):
        if isinstance(value, OldParameter):
            return nn.Parameter, (value.tensor,), (True, False, collections.OrderedDict())
        return NotImplemented


TYPES = {torch.float32: (torch.FloatStorage, torch.FloatTensor), torch.int64: (torch.LongStorage, torch.LongTensor)}


def pickled(*values):
    stream = io.BytesIO()
    for value in values:
        if isinstance(value, bytes):
            stream.write(value)
        else:
            pickle.dump(value, stream, 2)
    return stream.getvalue()


def tar_members(state):
    """The members of a TAR checkpoint, as torch/serialization.py's legacy_load reads them."""
    storages = [len(state)]
    tensors = [len(state)]
    ids = {}
    contents = collections.OrderedDict()
    for i, (key, value) in enumerate(state.items()):
        storage_type, tensor_type = TYPES[value.dtype]
        storages += [(10**6 + i, "cpu", storage_type), struct.pack("<q", value.numel()) + value.numpy().tobytes()]
        layout = struct.pack(f"<i4x{2 * value.dim() + 1}q", value.dim(), *value.shape, *value.stride(), 0)
        tensors += [(2 * 10**6 + i, 10**6 + i, tensor_type), layout]
        ids[id(value)] = str(2 * 10**6 + i)
        contents[key] = OldParameter(value) if key.endswith("weight") else value
    stream = io.BytesIO()
    OldPickler(stream, ids).dump(contents)
    information = {"protocol_version": 1000, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return {"sys_info": pickled(information), "storages": pickled(*storages, []), "tensors": pickled(*tensors),
            "pickle": stream.getvalue()}


def save_tar(state, name):
    with tarfile.open(HERE / name, "w:", format=tarfile.PAX_FORMAT) as archive:
        for member, data in tar_members(state).items():
            information = tarfile.TarInfo(member)
            information.size = len(data)
            archive.addfile(information, io.BytesIO(data))


def fastai_state(state):
    names = {"conv1": "rn.0", "bn1": "rn.1", "out": "out"}
    return collections.OrderedDict((f"{names[key.split('.')[0]]}.{key.split('.')[1]}", value) for key, value in state.items())


def with_strides(state):
    """The same numbers as views of larger and turned-round storages."""
    views = collections.OrderedDict(state)
    weight = state["conv1.weight"]
    views["conv1.weight"] = weight.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # channels last
    shared = torch.cat([torch.full((5,), 9.0), state["bn1.weight"], state["bn1.bias"]])
    views["bn1.weight"], views["bn1.bias"] = shared[5:9], shared[9:13]
    doubled = torch.stack([state["bn1.running_var"], torch.zeros(4)], 1)
    views["bn1.running_var"] = doubled[:, 0]
    return views


class Command:
    """What a pickle can do to whoever loads it with Python."""

    def __reduce__(self):
        import os
        return os.system, ("echo the checkpoint ran this",)


def write_files(state):
    save(state, "zip.pth")
    save(state, "zip_protocol5.pth", pickle_protocol=5)
    save_stream(state, "stream.pth")
    save_stream(state, "stream_protocol4.pth", pickle_protocol=4)
    save_tar(state, "tar.pth")
    safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, HERE / "plain.safetensors")
    save({key: nn.Parameter(value) if value.is_floating_point() else value for key, value in state.items()}, "parameters.pth")
    save(with_strides(state), "strides.pth")
    save_stream(with_strides(state), "strides_stream.pth")
    save_stream(fastai_state(state), "fastai.h5")
    wrapped = {"epoch": 3, "loss": 0.25, "best": None, "done": True, "history": [1, 2.5, -70000, 2**40],
               "optimizer": {"param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]},
               "state_dict": {"module." + key: value for key, value in state.items()}}
    save(wrapped, "wrapped.pth")
    save_stream({"model": {"module.encoder." + key: value for key, value in state.items()}, "opt": {}}, "wrapped_stream.pth")
    types = {"conv1.weight": torch.float16, "bn1.weight": torch.bfloat16, "bn1.bias": torch.float64, "bn1.running_mean": torch.float16}
    save({key: value.to(types.get(key, value.dtype)) for key, value in state.items()}, "types.pth")
    save_stream({key: value.to(types.get(key, value.dtype)) for key, value in state.items()}, "types_stream.pth")
    save({key: value for key, value in state.items() if not key.startswith("out")}
         | {"fc.weight": torch.ones(2, 4), "fc.bias": torch.ones(2)}, "encoder.pth")
    save({"conv1.weight": state["conv1.weight"], "hook": Command()}, "refused_command.pth")
    save_stream({"conv1.weight": state["conv1.weight"], "hook": Command()}, "refused_command_stream.pth")
    save(Tiny(), "refused_module.pth")


@torch.no_grad()
def write_logits(state):
    model = Tiny()
    model.load_state_dict(state)
    logits = model.double().eval()(make_tensor("image", (2, 3, 8, 12)).double())
    record = {"torch": torch.__version__, "image": [2, 3, 8, 12], "logits": [float(f"{value:.9g}") for value in logits.flatten().tolist()]}
    (HERE / "tiny_logits.json").write_text(json.dumps(record) + "\n")


def check(state):
    """PyTorch itself reads the old forms."""
    for name in ("tar.pth", "stream.pth", "zip.pth", "parameters.pth", "strides.pth", "strides_stream.pth"):
        loaded = torch.load(HERE / name, weights_only=False)
        for key, value in state.items():
            assert torch.equal(loaded[key].detach(), value), (name, key)


def main():
    state = tiny_state()
    write_files(state)
    write_logits(state)
    check(state)


if __name__ == "__main__":
    main()
