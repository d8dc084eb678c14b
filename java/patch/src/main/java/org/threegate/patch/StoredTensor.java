package org.threegate.patch;

import java.util.List;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;

/**
 * A tensor that is written into a patch.
 *
 * @param data writes the tensor's bytes; called once, after all tensors were encoded
 */
record StoredTensor(String name, TensorType type, List<Long> shape, SafetensorsWriter.Data data) {}
