/** What happens while a model is trained, for whoever wants to know. */
package org.threegate.rl.event;
