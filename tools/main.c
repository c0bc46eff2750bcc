/* The rehearse program. */
int main(void)
{
	return 0;
}
