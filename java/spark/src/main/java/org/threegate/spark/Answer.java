package org.threegate.spark;

import java.io.Serializable;
import java.util.Map;

/**
 * The result of an item.
 *
 * @param name name of the item
 * @param digests SHA-256 digests of tensors, keyed by {@code MODEL:NAME}
 * @param result encoded result of the work; empty if it failed or only digests were requested
 * @param failure reason why the item could not be measured; empty if it was
 */
record Answer(String name, Map<String, String> digests, byte[] result, String failure)
    implements Serializable {}
