package org.threegate.spark;

import java.io.Serializable;
import java.util.Map;

/**
 * What became of an item.
 *
 * @param digests of tensors, by {@code MODEL:NAME}
 * @param result what the work makes; empty when it failed, or when only digests were wanted
 * @param failure why it could not be measured; empty when it was
 */
record Answer(String name, Map<String, String> digests, byte[] result, String failure)
    implements Serializable {}
