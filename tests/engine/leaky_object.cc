// What must not happen in a file compiled for one instruction set: check_isa_symbols.sh has to find leaky_square.
inline float leaky_square(float x) {
  return x * x;
}

float (*leaked)(float) = leaky_square;
