/* "Did you mean …?": the name that a mistyped word comes closest to, for messages about options, commands and fields.
 */
#ifndef WORD_SUGGEST_H
#define WORD_SUGGEST_H

/* The entry of names (NULL-terminated) that is closest to word, or NULL when none is near. */
const char *word_suggest(const char *word, const char *const *names);

#endif
