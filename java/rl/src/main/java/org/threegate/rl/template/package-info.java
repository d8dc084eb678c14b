/**
 * The part of Jinja that chat templates use: lexer, parser, tree, evaluator. Templates are foreign
 * programs. Here they see JSON-like values and lists of functions fixed by name, and every step,
 * character and level of nesting is counted. Knows no files, and nothing of Java can be reached.
 */
package org.threegate.rl.template;
