/** The weights of a model as its layers use them, whatever way a checkpoint stores them. */
package org.threegate.checkpoint.weight;
