/** The tensors that two checkpoints share. */
package org.threegate.analysis.pairing;
