# Sourced by the scripts here: phases with their duration.
phase_names=()
phase_seconds=()

phase() { # phase NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  phase_names+=("$name")
  phase_seconds+=($((SECONDS - start)))
}

print_phases() {
  echo
  echo "time by phase:"
  for i in "${!phase_names[@]}"; do printf '  %-34s %4d s\n' "${phase_names[$i]}" "${phase_seconds[$i]}"; done
}
