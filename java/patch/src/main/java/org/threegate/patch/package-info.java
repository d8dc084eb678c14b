/**
 * Weight patches: the difference between two checkpoints, bit for bit.
 *
 * <p>{@link org.threegate.patch.PatchCreator} makes a patch of two checkpoints, {@link
 * org.threegate.patch.PatchCombiner} one of several. {@link org.threegate.patch.WeightPatch} is an
 * open patch, which {@link org.threegate.patch.PatchApplier} applies into a new model, {@link
 * org.threegate.patch.PatchInPlace} applies to the files of a model, and {@link
 * org.threegate.patch.PatchVerifier} checks. {@link org.threegate.patch.PatchPublisher} and {@link
 * org.threegate.patch.PatchSubscriber} exchange a sequence of versions through a directory.
 *
 * <p>Everything else is internal and not visible outside of the package: an encoder and a decoder
 * for each format, and the journal of a patch in place.
 */
package org.threegate.patch;
