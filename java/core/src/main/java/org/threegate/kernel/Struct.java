package org.threegate.kernel;

/**
 * Sizes and field offsets of the structs of {@code threegate.h}, as C lays them out. A test
 * computes them from the header and compares.
 */
final class Struct {
  static final int MATRIX = 40;
  static final int MATRIX_DATA = 0;
  static final int MATRIX_ROWS = 8;
  static final int MATRIX_COLUMNS = 16;
  static final int MATRIX_ROW_STRIDE = 24;
  static final int MATRIX_DTYPE = 32;
  static final int MATRIX_RESERVED = 36;

  static final int LOW_RANK = 88;
  static final int LOW_RANK_LEFT = 0;
  static final int LOW_RANK_RIGHT = 40;
  static final int LOW_RANK_SCALE = 80;

  static final int OPERAND = 120;
  static final int OPERAND_SIZE = 0;
  static final int OPERAND_VALUES = 8;
  static final int OPERAND_BLOCK_SCALE = 48;
  static final int OPERAND_BLOCK_ROWS = 88;
  static final int OPERAND_BLOCK_COLUMNS = 96;
  static final int OPERAND_LOW_RANK = 104;
  static final int OPERAND_LOW_RANK_COUNT = 112;

  static final int CONTROL = 32;
  static final int CONTROL_SIZE = 0;
  static final int CONTROL_CANCEL = 8;
  static final int CONTROL_DONE = 16;
  static final int CONTROL_TOTAL = 24;

  static final int WORKSPACE_SIZE = 24;
  static final int WORKSPACE_SIZE_SIZE = 0;
  static final int WORKSPACE_SIZE_HOST_BYTES = 8;
  static final int WORKSPACE_SIZE_DEVICE_BYTES = 16;

  static final int WORKSPACE = 40;
  static final int WORKSPACE_SIZE_FIELD = 0;
  static final int WORKSPACE_HOST = 8;
  static final int WORKSPACE_HOST_BYTES = 16;
  static final int WORKSPACE_DEVICE = 24;
  static final int WORKSPACE_DEVICE_BYTES = 32;

  static final int CONTEXT_OPTIONS = 24;
  static final int CONTEXT_OPTIONS_SIZE = 0;
  static final int CONTEXT_OPTIONS_THREADS = 8;
  static final int CONTEXT_OPTIONS_DEVICE = 12;
  static final int CONTEXT_OPTIONS_DEVICE_INDEX = 16;

  static final int CAPABILITIES = 992;
  static final int CAPABILITIES_SIZE = 0;
  static final int CAPABILITIES_HARDWARE_THREADS = 8;
  static final int CAPABILITIES_SIMD = 12;
  static final int CAPABILITIES_CUDA_DEVICES = 16;
  static final int CAPABILITIES_MEMORY_BYTES = 24;
  static final int CAPABILITIES_VERSION = 32;
  static final int CAPABILITIES_CPU = 64;
  static final int CAPABILITIES_SIMD_REASON = 160;
  static final int CAPABILITIES_CUDA_REASON = 416;
  static final int CAPABILITIES_BLAS = 672;
  static final int CAPABILITIES_CUDA = 832;

  static final int DIFF_OPTIONS = 8;
  static final int DIFF_OPTIONS_SIZE = 0;

  static final int DIFF_PROFILES = 64;
  static final int DIFF_PROFILES_SIZE = 0;
  static final int DIFF_PROFILES_ROW_CHANGED = 8;
  static final int DIFF_PROFILES_COLUMN_CHANGED = 16;
  static final int DIFF_PROFILES_MASK = 24;
  static final int DIFF_PROFILES_MASK_WORDS = 32;
  static final int DIFF_PROFILES_MAP = 40;
  static final int DIFF_PROFILES_MAP_ROWS = 48;
  static final int DIFF_PROFILES_MAP_COLUMNS = 56;

  static final int DIFF_RESULT = 216;
  static final int DIFF_RESULT_SIZE = 0;
  static final int DIFF_RESULT_TOTAL = 8;
  static final int DIFF_RESULT_CHANGED = 16;
  static final int DIFF_RESULT_CHANGED_BITS = 24;
  static final int DIFF_RESULT_CHANGED_STORED = 32;
  static final int DIFF_RESULT_HIDDEN = 40;
  static final int DIFF_RESULT_NON_FINITE = 48;
  static final int DIFF_RESULT_SIGN_FLIPS = 56;
  static final int DIFF_RESULT_ULP_HISTOGRAM = 64;
  static final int DIFF_RESULT_BASE_SQUARES = 184;
  static final int DIFF_RESULT_DELTA_SQUARES = 192;
  static final int DIFF_RESULT_DELTA_DOT_BASE = 200;
  static final int DIFF_RESULT_MAX_ABS_DELTA = 208;

  static final int SVD_OPTIONS = 32;
  static final int SVD_OPTIONS_SIZE = 0;
  static final int SVD_OPTIONS_RANK = 8;
  static final int SVD_OPTIONS_TOLERANCE = 16;
  static final int SVD_OPTIONS_VECTORS = 24;
  static final int SVD_OPTIONS_RESERVED = 28;

  static final int SVD_START = 56;
  static final int SVD_START_SIZE = 0;
  static final int SVD_START_VALUES = 8;
  static final int SVD_START_BASIS = 16;

  static final int SVD_RESULT = 72;
  static final int SVD_RESULT_SIZE = 0;
  static final int SVD_RESULT_VALUES = 8;
  static final int SVD_RESULT_LEFT = 16;
  static final int SVD_RESULT_RIGHT = 24;
  static final int SVD_RESULT_SPECTRUM = 32;
  static final int SVD_RESULT_RESIDUAL = 40;
  static final int SVD_RESULT_ORTHOGONALITY = 48;
  static final int SVD_RESULT_SPECTRUM_ERROR = 56;
  static final int SVD_RESULT_METHOD = 64;
  static final int SVD_RESULT_STATUS = 68;

  static final int PROJECTED_ENERGY_RESULT = 48;
  static final int PROJECTED_ENERGY_RESULT_SIZE = 0;
  static final int PROJECTED_ENERGY_RESULT_TOTAL = 8;
  static final int PROJECTED_ENERGY_RESULT_LEFT = 16;
  static final int PROJECTED_ENERGY_RESULT_RIGHT = 24;
  static final int PROJECTED_ENERGY_RESULT_BOTH = 32;
  static final int PROJECTED_ENERGY_RESULT_FOURTH = 40;

  static final int PERTURBATION_OPTIONS = 56;
  static final int PERTURBATION_OPTIONS_SIZE = 0;
  static final int PERTURBATION_OPTIONS_COUNT = 8;
  static final int PERTURBATION_OPTIONS_CORE_ROWS = 16;
  static final int PERTURBATION_OPTIONS_BASE_VALUES = 24;
  static final int PERTURBATION_OPTIONS_CORE = 32;
  static final int PERTURBATION_OPTIONS_RANKS = 40;
  static final int PERTURBATION_OPTIONS_RANK_COUNT = 48;

  static final int PERTURBATION_RESULT = 64;
  static final int PERTURBATION_RESULT_SIZE = 0;
  static final int PERTURBATION_RESULT_VALUES = 8;
  static final int PERTURBATION_RESULT_LONG_ANGLES = 16;
  static final int PERTURBATION_RESULT_SHORT_ANGLES = 24;
  static final int PERTURBATION_RESULT_ENERGIES = 32;
  static final int PERTURBATION_RESULT_TOTAL = 40;
  static final int PERTURBATION_RESULT_MIXING = 48;
  static final int PERTURBATION_RESULT_BOUNDARY_MIXING = 56;

  static final int MASK_SCORES = 64;
  static final int MASK_SCORES_SIZE = 0;
  static final int MASK_SCORES_MATRIX = 8;
  static final int MASK_SCORES_VALUES = 16;
  static final int MASK_SCORES_LEFT = 24;
  static final int MASK_SCORES_RIGHT = 32;
  static final int MASK_SCORES_RANK = 40;
  static final int MASK_SCORES_ROWS = 48;
  static final int MASK_SCORES_COLUMNS = 56;

  static final int MASK_OPTIONS = 24;
  static final int MASK_OPTIONS_SIZE = 0;
  static final int MASK_OPTIONS_COUNT = 8;
  static final int MASK_OPTIONS_SMALLEST = 16;
  static final int MASK_OPTIONS_RESERVED = 20;

  static final int MASK_SETS = 40;
  static final int MASK_SETS_SIZE = 0;
  static final int MASK_SETS_MASKS = 8;
  static final int MASK_SETS_COUNT = 16;
  static final int MASK_SETS_ROWS = 24;
  static final int MASK_SETS_COLUMNS = 32;

  static final int LAYER_SAMPLES = 88;
  static final int LAYER_SAMPLES_SIZE = 0;
  static final int LAYER_SAMPLES_INPUT = 8;
  static final int LAYER_SAMPLES_GRADIENT = 48;

  static final int DIRECTION = 48;
  static final int DIRECTION_SIZE = 0;
  static final int DIRECTION_MATRIX = 8;
  static final int DIRECTION_SUBTRACTED = 16;
  static final int DIRECTION_MASK = 24;
  static final int DIRECTION_LOW_RANK = 32;
  static final int DIRECTION_LOW_RANK_COUNT = 40;

  static final int PATCH_PAIR = 48;
  static final int PATCH_PAIR_SIZE = 0;
  static final int PATCH_PAIR_BEFORE = 8;
  static final int PATCH_PAIR_AFTER = 16;
  static final int PATCH_PAIR_COUNT = 24;
  static final int PATCH_PAIR_FIRST = 32;
  static final int PATCH_PAIR_WIDTH = 40;
  static final int PATCH_PAIR_FORM = 44;

  static final int PATCH_ENTRIES = 40;
  static final int PATCH_ENTRIES_SIZE = 0;
  static final int PATCH_ENTRIES_POSITIONS = 8;
  static final int PATCH_ENTRIES_VALUES = 16;
  static final int PATCH_ENTRIES_COUNT = 24;
  static final int PATCH_ENTRIES_WIDTH = 32;
  static final int PATCH_ENTRIES_FORM = 36;

  static final int DISPLACEMENT = 48;
  static final int DISPLACEMENT_SIZE = 0;
  static final int DISPLACEMENT_POINT = 8;
  static final int DISPLACEMENT_DIRECTION = 16;
  static final int DISPLACEMENT_COUNT = 24;
  static final int DISPLACEMENT_DTYPE = 32;
  static final int DISPLACEMENT_RESERVED = 36;
  static final int DISPLACEMENT_STEP = 40;

  static final int GRADIENT_DIFFERENCE = 64;
  static final int GRADIENT_DIFFERENCE_SIZE = 0;
  static final int GRADIENT_DIFFERENCE_AHEAD = 8;
  static final int GRADIENT_DIFFERENCE_BEHIND = 16;
  static final int GRADIENT_DIFFERENCE_WIDER = 24;
  static final int GRADIENT_DIFFERENCE_DIRECTION = 32;
  static final int GRADIENT_DIFFERENCE_COUNT = 40;
  static final int GRADIENT_DIFFERENCE_DTYPE = 48;
  static final int GRADIENT_DIFFERENCE_RESERVED = 52;
  static final int GRADIENT_DIFFERENCE_STEP = 56;

  static final int DIFFERENCE_SUMS = 40;
  static final int DIFFERENCE_SUMS_SIZE = 0;
  static final int DIFFERENCE_SUMS_AHEAD = 8;
  static final int DIFFERENCE_SUMS_BEHIND = 16;
  static final int DIFFERENCE_SUMS_CHANGE = 24;
  static final int DIFFERENCE_SUMS_ALONG = 32;

  static final int PERTURB_OPTIONS = 40;
  static final int PERTURB_OPTIONS_SIZE = 0;
  static final int PERTURB_OPTIONS_KIND = 8;
  static final int PERTURB_OPTIONS_DTYPE = 12;
  static final int PERTURB_OPTIONS_SEED = 16;
  static final int PERTURB_OPTIONS_DRAW = 24;
  static final int PERTURB_OPTIONS_DEVIATION = 32;

  static final int ROTATION_OPTIONS = 48;
  static final int ROTATION_OPTIONS_SIZE = 0;
  static final int ROTATION_OPTIONS_COUNT = 8;
  static final int ROTATION_OPTIONS_LONG_SIDE = 16;
  static final int ROTATION_OPTIONS_SEED = 24;
  static final int ROTATION_OPTIONS_DRAW = 32;
  static final int ROTATION_OPTIONS_UPDATE_VALUES = 40;

  static final int SHUFFLE_OPTIONS = 40;
  static final int SHUFFLE_OPTIONS_SIZE = 0;
  static final int SHUFFLE_OPTIONS_COUNT = 8;
  static final int SHUFFLE_OPTIONS_CORE_ROWS = 16;
  static final int SHUFFLE_OPTIONS_SEED = 24;
  static final int SHUFFLE_OPTIONS_DRAW = 32;

  static final int NORMAL_OPTIONS = 64;
  static final int NORMAL_OPTIONS_SIZE = 0;
  static final int NORMAL_OPTIONS_COUNT = 8;
  static final int NORMAL_OPTIONS_LONG_SIDE = 16;
  static final int NORMAL_OPTIONS_LEADING = 24;
  static final int NORMAL_OPTIONS_SEED = 32;
  static final int NORMAL_OPTIONS_DRAW = 40;
  static final int NORMAL_OPTIONS_VALUES = 48;
  static final int NORMAL_OPTIONS_VARIANCES = 56;

  static final int SPAN = 16;
  static final int SPAN_DATA = 0;
  static final int SPAN_BYTES = 8;

  static final int XXH3_PART = 24;
  static final int XXH3_PART_STATE = 0;
  static final int XXH3_PART_DATA = 8;
  static final int XXH3_PART_BYTES = 16;

  private Struct() {}
}
