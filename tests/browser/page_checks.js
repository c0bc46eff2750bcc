// What a report must be, looked up in the page itself. Evaluates to a list of complaints; `contrast` says whether to look
// at colours too (slow on very long pages), `print` whether the page is laid out for paper.
(function (contrast, print) {
	const complaints = [];
	const complain = (what, element) => {
		if (complaints.length < 40)
			complaints.push(what + (element ? ': ' + element.outerHTML.slice(0, 160) : ''));
	};
	const root = document.documentElement;
	const visible = (element) => element.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true }) &&
		element.getClientRects().length > 0;

	// What is folded is looked at too; on paper it has to show by itself.
	if (!print)
		document.querySelectorAll('details').forEach((fold) => fold.open = true);

	// Structure.
	if (root.lang !== 'en')
		complain('no language');
	if (document.compatMode !== 'CSS1Compat')
		complain('quirks mode');
	if (document.querySelector('script, iframe, object, embed, link[rel=stylesheet], [onclick], [onload]'))
		complain('something active');
	for (const [selector, count] of [['h1', 1], ['main', 1], ['body > header', 1], ['body > footer', 1]]) {
		if (document.querySelectorAll(selector).length !== count)
			complain('not ' + count + ' ' + selector);
	}
	let last = 0;
	for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
		const level = Number(heading.tagName[1]);
		if (level > last + 1)
			complain('a heading skips a level', heading);
		last = level;
	}
	const ids = new Set();
	for (const element of document.querySelectorAll('[id]')) {
		if (ids.has(element.id))
			complain('the id is not unique', element);
		ids.add(element.id);
	}
	for (const element of document.querySelectorAll('[aria-labelledby]')) {
		for (const id of element.getAttribute('aria-labelledby').split(' ')) {
			if (!ids.has(id))
				complain('is named by nothing', element);
		}
	}
	for (const link of document.querySelectorAll('a[href^="#"]')) {
		if (!ids.has(link.hash.slice(1)))
			complain('leads nowhere', link);
	}
	for (const head of document.querySelectorAll('th')) {
		if (!head.scope)
			complain('a table header without scope', head);
	}
	for (const table of document.querySelectorAll('table')) {
		const columns = table.tHead ? table.tHead.rows[0].cells.length : 0;
		if (!columns)
			complain('a table without a head', table);
		for (const row of table.tBodies[0].rows) {
			if (row.cells.length !== columns) {
				complain(row.cells.length + ' cells under ' + columns + ' heads', row);
				break;
			}
		}
	}
	for (const svg of document.querySelectorAll('svg')) {
		const named = svg.getAttribute('aria-hidden') === 'true' || svg.hasAttribute('aria-label') ||
			svg.querySelector(':scope > title');
		if (!named)
			complain('a picture without a name', svg);
	}
	for (const field of document.querySelectorAll('input, textarea, select')) {
		if (!field.labels || field.labels.length === 0)
			complain('a field without a label', field);
	}
	for (const element of document.querySelectorAll('[tabindex]')) {
		if (element.tabIndex > 0)
			complain('out of the order of focus', element);
	}

	// Width. Where something scrolls sideways the keyboard must reach it.
	if (root.scrollWidth > innerWidth)
		complain('wider than the window: ' + root.scrollWidth + ' > ' + innerWidth);
	for (const box of document.querySelectorAll('body *')) {
		const style = getComputedStyle(box);
		if (/auto|scroll/.test(style.overflowX) && box.scrollWidth > box.clientWidth && box.tabIndex < 0)
			complain('scrolls, and the keyboard cannot', box);
	}

	if (print) {
		for (const box of document.querySelectorAll('table, svg, .tile, p, pre, textarea, input')) {
			if (visible(box) && box.getBoundingClientRect().right > innerWidth + 1)
				complain('cut off on paper at ' + box.getBoundingClientRect().right + ' px', box);
		}
		for (const fold of document.querySelectorAll('details')) {
			const content = fold.querySelector('table, p');
			if (content && !content.closest('.noprint') && !visible(content))
				complain('folded on paper', fold);
		}
		for (const field of document.querySelectorAll('textarea, input[type=text]')) {
			if (getComputedStyle(field).backgroundImage === 'none')
				complain('no line to write on', field);
		}
	}
	if (!contrast)
		return complaints;

	// Contrast as in WCAG 2.1, 1.4.3: (L1 + 0.05) / (L2 + 0.05) of relative luminances, at least 4.5, 3 for large text.
	const canvas = document.createElement('canvas');
	canvas.width = canvas.height = 1;
	const context = canvas.getContext('2d', { willReadFrequently: true });
	const known = new Map();
	const colour = (text) => {
		if (!known.has(text)) {
			context.clearRect(0, 0, 1, 1);
			context.fillStyle = text;
			context.fillRect(0, 0, 1, 1);
			const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
			known.set(text, [r, g, b, a / 255]);
		}
		return known.get(text);
	};
	const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
	const luminance = (c) => {
		const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ratio = (a, b) => {
		const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
		return (high + 0.05) / (low + 0.05);
	};
	const ground = (element) => {
		const layers = [];
		for (let e = element; e; e = e.parentElement)
			layers.push(colour(getComputedStyle(e).backgroundColor));
		return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
	};
	// What is painted under a point of a picture, from the bottom up.
	const under = (text, x, y) => {
		const shapes = document.elementsFromPoint(x, y).filter((e) => e !== text && !text.contains(e) &&
			e instanceof SVGGeometryElement && getComputedStyle(e).fill !== 'none');
		return shapes.reverse().reduce((below, shape) => {
			const style = getComputedStyle(shape);
			const [r, g, b, a] = colour(style.fill);
			return over([r, g, b, a * Number(style.fillOpacity)], below);
		}, ground(text.closest('svg').parentElement));
	};
	let looked = 0;
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node; (node = walker.nextNode());) {
		const element = node.parentElement;
		if (!node.data.trim() || !visible(element) || /^(title|desc|style)$/.test(element.tagName))
			continue;
		const style = getComputedStyle(element);
		const size = parseFloat(style.fontSize);
		const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
		const inPicture = element instanceof SVGElement;
		const ink = colour(inPicture ? style.fill : style.color);
		const grounds = [];
		if (inPicture) {
			element.scrollIntoView({ block: 'center', inline: 'center' });
			const box = element.getBoundingClientRect();
			for (const share of [0.1, 0.5, 0.9])
				grounds.push(under(element, box.left + share * box.width, box.top + box.height / 2));
		} else {
			grounds.push(ground(element));
		}
		looked++;
		for (const below of grounds) {
			const found = ratio(over(ink, below), below);
			if (found < least) {
				complain('contrast ' + found.toFixed(2) + ' of ' + node.data.trim().slice(0, 40), element);
				break;
			}
		}
	}
	if (looked === 0)
		complain('no text at all');
	return complaints;
})
