/** Adapters that PEFT writes, and the weights that they make of a base. */
package org.threegate.checkpoint.adapter;
