import type { UnsafeReason } from './errors.ts';
import { inspectBase, inspectHost, isDisturbing, isDotSegment, parses } from './url-base.ts';
import { ABSOLUTE, authorityEnd } from './url-plan.ts';
import type { UrlPlan } from './url-plan.ts';

/**
 * Puts a URL together from the text and the values of a template, in their order, and refuses the value with which it would stop being
 * the URL that the text describes: another host, a user name, a way up the path, a scheme.
 *
 * Every method returns null, or the reason to refuse the latest value.
 */
export class UrlAssembler {
  text = '';
  readonly #leading: UrlPlan['leading'];
  #state: 'start' | 'scheme' | 'authority' | 'path' | 'rest' = 'start';
  #relative = false;

  #scheme = 'http';
  #authority = '';
  /** What the authority may still be given: anything, a port, or nothing. */
  #open: 'host' | 'port' | 'nothing' = 'host';
  /** What the host ends with: text; a value that is a domain of its own; a value that continues a label and may change the domain. */
  #tail: 'text' | 'domain' | 'label' = 'text';
  #valueInAuthority = false;
  #keptInAuthority = false;

  #segment = '';
  /** Whether a value takes part in the segment. A dot segment of text alone is what the template says. */
  #segmentHasValue = false;

  constructor(leading: UrlPlan['leading']) {
    this.#leading = leading;
  }

  literal(text: string): UnsafeReason | null {
    if (this.#state === 'start') return this.#begin(text);
    if (this.#state === 'scheme') {
      this.text += '://';
      this.#state = 'authority';
      return this.#authorityText(text.slice(3));
    }
    if (this.#state === 'authority') return this.#authorityText(text);
    return this.#append(text, false);
  }

  value(text: string, raw: boolean): UnsafeReason | null {
    if (this.#state === 'start') return this.#leading === 'scheme' ? this.#schemeValue(text) : this.#baseValue(text);
    if (raw && isDisturbing(text)) return 'url_character';
    if (this.#state !== 'authority') return this.#append(raw ? text : encodeURIComponent(text), true);
    if (!raw || this.#authority === '' || !/^[/?#]/.test(text)) return this.#authorityValue(text);
    return this.#endAuthority() ?? this.#append(text, true);
  }

  /** A slot that stays as it is written, because its variable is missing. */
  kept(source: string): null {
    if (this.#state === 'start') this.#state = 'path';
    if (this.#state === 'authority') {
      this.#authority += source;
      this.#keptInAuthority = true;
      this.#tail = 'text';
    }
    if (this.#state === 'path') this.#segment += source;
    this.text += source;
    return null;
  }

  finish(): UnsafeReason | null {
    if (this.#state === 'authority') return this.#endAuthority();
    if (this.#state === 'path' && this.#endsDotSegment()) return 'url_dot_segment';
    if (this.#relative && /^(?:\/\/|[A-Za-z][A-Za-z0-9+.-]*:)/.test(this.text)) return 'url_reference';
    return null;
  }

  #begin(text: string): UnsafeReason | null {
    if (text === '') return null;
    const absolute = ABSOLUTE.exec(text);
    if (absolute === null) {
      this.#relative = true;
      this.#state = 'path';
      return this.#append(text, false);
    }
    this.text = absolute[0];
    this.#scheme = absolute[1] ?? 'http';
    this.#state = 'authority';
    return this.#authorityText(text.slice(absolute[0].length));
  }

  #schemeValue(text: string): UnsafeReason | null {
    if (!/^https?$/i.test(text)) return 'url_scheme';
    this.text = text;
    this.#scheme = text;
    this.#state = 'scheme';
    return null;
  }

  #baseValue(text: string): UnsafeReason | null {
    const base = inspectBase(text);
    if (base === null) return 'url_base';
    this.text = text;
    this.#scheme = base.scheme;
    this.#authority = base.authority;
    this.#valueInAuthority = true;
    this.#tail = 'domain';
    this.#open = portOf(base.authority) === null ? 'port' : 'nothing';
    this.#state = base.path === '' ? 'authority' : 'path';
    this.#segment = base.path.slice(base.path.lastIndexOf('/') + 1);
    this.#segmentHasValue = true;
    return null;
  }

  #authorityText(text: string): UnsafeReason | null {
    const end = authorityEnd(text, 0);
    const part = text.slice(0, end);
    if (part !== '') {
      if (this.#valueInAuthority && part.includes('@')) return 'url_authority';
      if (this.#open === 'nothing' || (this.#open === 'port' && !/^:?\d*$/.test(part))) return 'url_authority';
      if (!part.startsWith(':')) this.#tail = 'text';
      this.#authority += part;
      this.text += part;
    }
    return end === text.length ? null : (this.#endAuthority() ?? this.#append(text.slice(end), false));
  }

  #authorityValue(text: string): UnsafeReason | null {
    const host = this.#authority.slice(this.#authority.indexOf('@') + 1);
    const written = this.#authorityPart(host, text);
    if (written === null) return 'url_authority';
    this.#valueInAuthority = true;
    this.#authority += written;
    this.text += written;
    return null;
  }

  /** How a value stands in the authority after `before`, or null where it may not. */
  #authorityPart(before: string, text: string): string | null {
    if (before.lastIndexOf('[') > before.lastIndexOf(']')) return /^[0-9A-Fa-f:.]+$/.test(text) ? text : null;
    if (portOf(before) !== null) return this.#open !== 'nothing' && /^\d{1,5}$/.test(text) ? text : null;
    if (this.#open !== 'host') return null;

    const value = inspectHost(text);
    if (value === null) return null;
    const startsLabel = before === '' || before.endsWith('.');
    const verbatim = text === value.host + value.port;
    if (value.host.startsWith('[') ? before !== '' : !startsLabel && !verbatim) return null;
    // `10.0.0.{{N}}` is meant as an address; `10.0.0.evil.com` is not one.
    if (/^(?:\d+\.)+$/.test(before) && !/^\d{1,3}(?:\.\d{1,3})*$/.test(value.host)) return null;
    this.#tail = startsLabel ? 'domain' : 'label';
    if (value.port !== '') this.#open = 'nothing';
    return value.host + value.port;
  }

  #endAuthority(): UnsafeReason | null {
    this.#state = 'path';
    if (this.#keptInAuthority) return null;
    // A value that continues a label at the end of the host could continue `example.co` as `example.company` or `example.cousin.org`.
    if (this.#tail === 'label' && this.#authority.slice(this.#authority.indexOf('@') + 1).includes('.'))
      return 'url_authority';
    return parses(this.#scheme, this.#authority) ? null : 'url_authority';
  }

  #append(text: string, isValue: boolean): UnsafeReason | null {
    this.text += text;
    if (this.#state === 'rest') return null;
    if (isValue) this.#segmentHasValue = true;
    for (const part of text.split(/([/?#])/)) {
      if (part !== '/' && part !== '?' && part !== '#') {
        this.#segment += part;
        continue;
      }
      if (this.#endsDotSegment()) return 'url_dot_segment';
      this.#segment = '';
      this.#segmentHasValue = isValue;
      if (part === '/') continue;
      this.#state = 'rest';
      return null;
    }
    return null;
  }

  #endsDotSegment(): boolean {
    return this.#segmentHasValue && isDotSegment(this.#segment);
  }
}

/** The port at the end of an authority, also an empty one (`host:`); null where there is no colon for it. */
function portOf(authority: string): string | null {
  return /:(\d*)$/.exec(authority.slice(authority.lastIndexOf(']') + 1))?.[1] ?? null;
}
