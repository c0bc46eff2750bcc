/* SQLSTATE codes as numbers: see sqlstate.h. */
#include "sqlstate.h"

#include <string.h>

uint32_t sqlstate_pack(const char *text)
{
	if (!text || strlen(text) != 5 || strcmp(text, "00000") == 0)
		return 0;
	uint32_t packed = 0;
	for (int i = 0; i < 5; i++) {
		char c = text[i];
		uint32_t digit;
		if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0');
		else if (c >= 'A' && c <= 'Z')
			digit = (uint32_t)(c - 'A') + 10;
		else
			return 0;
		packed = packed * 36 + digit;
	}
	return packed + 1;
}

void sqlstate_unpack(uint32_t packed, char out[SQLSTATE_TEXT_MAX])
{
	out[0] = '\0';
	if (packed == 0)
		return;
	packed--;
	for (int i = 4; i >= 0; i--) {
		uint32_t digit = packed % 36;
		out[i] = (char)(digit < 10 ? '0' + digit : 'A' + (digit - 10));
		packed /= 36;
	}
	out[5] = '\0';
}
