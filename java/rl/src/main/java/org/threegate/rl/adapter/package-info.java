/** Low-rank adapters: their initialization, and files in PEFT's format. */
package org.threegate.rl.adapter;
