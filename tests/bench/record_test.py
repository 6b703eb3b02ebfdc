"""bench/record.py and bench/run.py: what a record says of the build and of the tree, and what a run says at its end. Standard library only,
and git."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import record  # noqa: E402

COMMAND = ("/usr/bin/c++ -DDERMATOME_ISA={name} -DFMT_SHARED -I/somewhere -isystem /elsewhere -O3 -DNDEBUG -Wall -Werror {flags} -fopenmp "
           "-std=c++20 -o a.o -c /somewhere/kernels/add/cpu.cpp")
# Claims to be Dermatome: the information, and steps of 10 ms.
BINARY = """#!/bin/sh
if [ "$1" = info ]; then echo "instruction set  x86-64-v4"; exit; fi
echo '{"ready": true}'
while read -r word count; do
  all=0.01
  while [ "$count" -gt 1 ]; do all="$all, 0.01"; count=$((count - 1)); done
  echo "{\\"seconds\\": [$all], \\"peak_rss_bytes\\": 1}"
done
"""


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class BuildFlags(Folder):
    def test_nothing_is_known_without_a_build_folder(self):
        self.assertEqual(record.build_flags(self.path / "dermatome"), {})

    def test_compiler_and_flags_of_each_instruction_set(self):
        self.write("CMakeCache.txt", "CMAKE_BUILD_TYPE:STRING=Release\nCMAKE_CXX_COMPILER:FILEPATH=/usr/bin/c++\nCMAKE_CXX_FLAGS:STRING=\n")
        self.write("CMakeFiles/3.25.1/CMakeCXXCompiler.cmake",
                   'set(CMAKE_CXX_COMPILER "/usr/bin/c++")\nset(CMAKE_CXX_COMPILER_ID "GNU")\nset(CMAKE_CXX_COMPILER_VERSION "12.2.0")\n')
        commands = [COMMAND.format(name="v2", flags="-march=x86-64-v2"), COMMAND.format(name="v4", flags="-march=x86-64-v4"),
                    "/usr/bin/c++ -O3 -o b.o -c b.cpp"]
        self.write("compile_commands.json", json.dumps([{"command": command} for command in commands]))
        self.assertEqual(record.build_flags(self.path / "dermatome"), {
            "CMAKE_BUILD_TYPE": "Release", "CMAKE_CXX_COMPILER": "/usr/bin/c++", "compiler": "GNU 12.2.0",
            "kernels": {"v2": "-O3 -march=x86-64-v2 -fopenmp -std=c++20", "v4": "-O3 -march=x86-64-v4 -fopenmp -std=c++20"}})


class Commit(Folder):
    def git(self, *words):
        settings = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *settings, *words], cwd=self.path, check=True, capture_output=True)

    def test_a_changed_tree_is_marked_but_for_the_records(self):
        self.write("engine/a.cpp", "1\n")
        self.write("bench/results/machine.json", "{}\n")
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "one")
        clean = record.commit(self.path / "bench")
        self.assertRegex(clean, "^[0-9a-f]+$")
        self.assertIsNone(record.warning_of(clean))
        self.write("bench/results/machine.json", '{"train": 1}\n')
        self.assertEqual(record.commit(self.path / "bench"), clean)
        self.write("engine/a.cpp", "2\n")
        self.assertEqual(record.commit(self.path / "bench"), clean + "-dirty")
        self.assertIn(f"marked {clean}-dirty", record.warning_of(clean + "-dirty"))

    def test_without_git_no_commit_is_named(self):
        self.assertIsNone(record.commit(pathlib.Path("/")))
        self.assertIn("names no commit", record.warning_of(None))


class Environment(unittest.TestCase):
    def test_the_peers_are_of_the_versions_of_the_newest_records(self):
        text = (ROOT / "tools" / "scripts" / "bench-environment.sh").read_text()
        pinned = dict(re.findall(r"(\w+)==([\w.]+)", text))
        records = [json.loads(path.read_text()) for path in (ROOT / "bench" / "results").glob("*x86-64*.json")]
        parts = [part for one in records for part in one.values() if isinstance(part, dict) and "python" in part]
        newest = max(parts, key=lambda part: part["date"])["python"]
        self.assertEqual({name: pinned.get(name) for name in newest if name != "python"},
                         {name: version for name, version in newest.items() if name != "python"})
        self.assertIn("safetensors", pinned)


class Run(Folder):
    def run_part(self, part, *options, originals=None):
        binary = self.write("dermatome", BINARY)
        binary.chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if name != "DERMATOME_ORIGINALS"}
        if originals is not None:
            environment["DERMATOME_ORIGINALS"] = str(originals)
        command = [sys.executable, str(ROOT / "bench" / "run.py"), "--binary", str(binary), "--python", "/nowhere/python", "--only", part,
                   "--out", str(self.path / "record.json"), *options]
        result = subprocess.run(command, capture_output=True, text=True, cwd=self.path, env=environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_says_at_the_end_that_predict_was_left_out_and_what_to_give(self):
        last = self.run_part("predict").splitlines()[-1]
        self.assertRegex(last, r'predict is left out: there is no isic2017-original/.*; BENCH_OPTIONS="--originals FOLDER" or '
                               'DERMATOME_ORIGINALS names the folder')
        self.assertFalse((self.path / "record.json").exists())

    def test_the_environment_names_the_folder_and_the_option_goes_before_it(self):
        self.assertIn("there is no /nowhere/originals/", self.run_part("predict", originals="/nowhere/originals"))
        self.assertIn("there is no /nowhere/else/", self.run_part("predict", "--originals", "/nowhere/else", originals="/nowhere/originals"))

    def test_warns_where_a_record_of_a_changed_tree_was_written(self):
        warning = record.warning_of(record.commit())
        said = self.run_part("frozen", "--rounds", "1", "--round-seconds", "0.01", "--threads", "1")
        written = json.loads((self.path / "record.json").read_text())["frozen"]
        self.assertEqual(written["commit"], record.commit())
        self.assertEqual(said.splitlines()[-1], warning or f"written to {self.path / 'record.json'}")
        self.assertNotIn("record is marked", self.run_part("predict"))


if __name__ == "__main__":
    unittest.main()
