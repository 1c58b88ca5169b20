// The page: draws what the events say. Sets text, never markup.
;(() => {
  const {
    count,
    rate,
    duration,
    time,
    bytes,
    niceCeiling,
    share,
    paths,
    nearest,
    appended,
    smoothed,
    copied,
    lately,
    stateOf,
  } = globalThis.logic
  const byId = (id) => document.getElementById(id)
  const shownMax = 200
  const filterFrom = 13
  const rows = new Map()
  let now = {}
  let samples = []

  const make = (tag, className, text) => {
    const element = document.createElement(tag)
    if (className) element.className = className
    if (text !== undefined) element.textContent = text
    return element
  }

  const svg = (tag, attributes) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    return element
  }

  const say = (id, text) => {
    const element = byId(id)
    if (element.textContent !== text) element.textContent = text
  }

  const clock = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })

  // ── Figures ────────────────────────────────────────────────────────────────

  const tile = (label, value, mood = '') => {
    const element = make('div', `tile ${mood}`)
    element.append(make('p', 'label', label), make('strong', '', value))
    return element
  }

  const drawTiles = () => {
    const { state, totals = {}, lagMs, source } = now
    const incremental = state === 'incremental'
    const tiles = [
      tile(incremental ? 'Rows and changes' : 'Rows copied', count(totals.rows ?? 0)),
      tile('Lag', lagMs === undefined ? '–' : duration(lagMs), incremental && !now.ready ? 'warn' : ''),
    ]
    if (source !== undefined) {
      tiles.push(
        tile('Changes kept at source', count(source.auditRows)),
        tile('Audit table', bytes(source.auditBytes)),
        tile(
          'Oldest unseen transaction',
          source.oldestUnseenMs === 0 ? 'none' : duration(source.oldestUnseenMs),
          source.oldestUnseenMs > 300_000 ? 'warn' : '',
        ),
      )
    }
    tiles.push(
      tile('Retries', count(totals.retries ?? 0), totals.retries > 0 ? 'warn' : ''),
      tile('Warnings', count(totals.warnings ?? 0), totals.warnings > 0 ? 'warn' : ''),
      tile('Put into quarantine', count(totals.quarantined ?? 0), totals.quarantined > 0 ? 'bad' : ''),
    )
    byId('tiles').replaceChildren(...tiles)
  }

  const drawHead = () => {
    const { id, from, to, startedAt, version } = now
    const [text, mood] = stateOf(now)
    say('name', id || 'surreal-sync')
    if (from || to) say('route', `${from ?? 'source'} → ${to ?? 'target'}`)
    say('state', text)
    byId('state').className = `pill ${mood}`
    document.title = `${text} · ${id || 'surreal-sync'}`
    if (version) say('version', `surreal-sync ${version}`)
    if (startedAt) say('uptime', `begun ${duration(Math.max(0, now.at - startedAt))} ago`)
    const banner = byId('banner')
    banner.hidden = now.state !== 'failed'
    banner.className = 'bad'
    if (now.state === 'failed') say('banner', `The run failed with ${now.error}. The log says why and what to do.`)
  }

  // ── Plots ──────────────────────────────────────────────────────────────────

  const drawPlot = (id, name, points, { format, axis, none }) => {
    const holder = byId(id)
    const known = points.filter(({ value }) => value !== undefined && value !== null)
    if (known.length < 2) {
      holder.replaceChildren(make('p', 'none', none))
      return
    }
    const left = 52
    const bottom = 18
    const size = {
      width: Math.max(80, holder.clientWidth - left - 4),
      height: Math.max(60, holder.clientHeight - bottom - 8),
    }
    const top = niceCeiling(Math.max(...known.map(({ value }) => value)))
    const { curve, area } = paths(points, { ...size, top })
    const drawing = svg('svg', {
      role: 'img',
      'aria-label': `${name} now ${format(known.at(-1).value)}, at most ${format(Math.max(...known.map(({ value }) => value)))}`,
    })
    const group = svg('g', { transform: `translate(${left} 8)` })
    for (const part of [0, 0.5, 1]) {
      const y = size.height * (1 - part)
      const label = svg('text', { x: -8, y: y + 4, 'text-anchor': 'end' })
      label.textContent = part === 0 ? '0' : axis(top * part)
      group.append(svg('line', { class: 'grid', x1: 0, x2: size.width, y1: y, y2: y }), label)
    }
    const ends = [
      [points[0].at, 0, 'start'],
      [points.at(-1).at, size.width, 'end'],
    ]
    for (const [at, x, anchor] of ends) {
      const label = svg('text', { x, y: size.height + 16, 'text-anchor': anchor })
      label.textContent = clock(at)
      group.append(label)
    }
    group.append(svg('path', { class: 'area', d: area }), svg('path', { class: 'curve', d: curve }))
    const cursor = svg('line', { class: 'cursor', y1: 0, y2: size.height, visibility: 'hidden' })
    group.append(cursor)
    drawing.append(group)
    drawing.addEventListener('pointermove', (event) => {
      const found = nearest(points, event.clientX - drawing.getBoundingClientRect().left - left, size.width)
      if (found === undefined) return
      for (const end of ['x1', 'x2']) cursor.setAttribute(end, found.x)
      cursor.setAttribute('visibility', 'visible')
      holder.dataset.held = '1'
      say(id.replace('plot', 'now'), `${format(found.point.value)} at ${clock(found.point.at)}`)
    })
    drawing.addEventListener('pointerleave', () => {
      delete holder.dataset.held
      cursor.setAttribute('visibility', 'hidden')
      drawPlots()
    })
    holder.replaceChildren(drawing)
  }

  const drawPlots = () => {
    if (byId('rate-plot').dataset.held === undefined) {
      const points = samples.map(({ at, rowsPerSecond: value }) => ({ at, value }))
      drawPlot('rate-plot', 'Throughput', points, { format: rate, axis: rate, none: 'Begins in a moment' })
      say('rate-now', now.rowsPerSecond === undefined ? '' : rate(now.rowsPerSecond))
    }
    if (byId('lag-plot').dataset.held === undefined) {
      const points = samples.map(({ at, lagMs: value }) => ({ at, value }))
      const none = now.state === 'full' ? 'Known as soon as changes are followed' : 'Not known'
      drawPlot('lag-plot', 'Lag', points, { format: duration, axis: time, none })
      say('lag-now', now.lagMs === undefined ? '' : duration(now.lagMs))
    }
  }

  // ── Tables ─────────────────────────────────────────────────────────────────

  const rowOf = (label) => {
    const found = rows.get(label)
    if (found !== undefined) return found
    const element = make('tr')
    const [name, progress, number, speed] = [
      make('td', '', label),
      make('td', 'wide'),
      make('td', 'number'),
      make('td', 'number'),
    ]
    const bar = make('div', 'bar')
    const track = make('div', 'track')
    const fill = make('div', 'fill')
    const text = make('span', 'share')
    track.setAttribute('role', 'progressbar')
    track.setAttribute('aria-label', `Copied of ${label}`)
    track.append(fill)
    bar.append(track, text)
    progress.append(bar)
    element.append(name, progress, number, speed)
    const made = { element, track, fill, text, number, speed, perSecond: 0, rows: undefined, table: undefined }
    rows.set(label, made)
    return made
  }

  const takeTables = (tables, elapsedMs) => {
    for (const table of tables) {
      const row = rowOf(table.table)
      row.table = table
    }
    for (const row of rows.values()) {
      const { table } = row
      const latest =
        row.rows === undefined || elapsedMs === 0 ? 0 : (Math.max(0, table.rows - row.rows) * 1_000) / elapsedMs
      row.perSecond = table.state === 'done' ? 0 : smoothed(row.perSecond, latest)
      if (row.perSecond < 0.05) row.perSecond = 0
      row.rows = table.rows
      drawRow(row)
    }
  }

  const drawRow = ({ element, track, fill, text, number, speed, perSecond, table }) => {
    const { state, rows: done, expected } = table
    const part = now.phase === 'incremental' ? undefined : share(table)
    element.className = now.phase === 'incremental' ? (perSecond > 0 ? 'active' : 'idle') : state
    track.hidden = part === undefined
    if (part !== undefined) {
      const percent = Math.floor(part * 100)
      track.setAttribute('aria-valuenow', percent)
      fill.style.width = `${part * 100}%`
    }
    const states = { waiting: 'waiting', running: '', done: 'done' }
    const label =
      now.phase === 'incremental'
        ? perSecond > 0
          ? 'changing'
          : 'in step'
        : part === undefined || state !== 'running'
          ? states[state]
          : `${Math.floor(part * 100)} %`
    text.textContent = label || 'copying'
    number.textContent =
      state === 'running' && part !== undefined && expected !== undefined
        ? `${count(done)} / ${count(expected)}`
        : state === 'waiting' && expected !== undefined
          ? `– / ${count(expected)}`
          : count(done)
    speed.textContent = perSecond > 0 ? rate(perSecond) : '–'
  }

  const drawTables = () => {
    const all = [...rows.entries()]
    const wanted = byId('filter').value.trim().toLowerCase()
    const matching = all.filter(([label]) => label.toLowerCase().includes(wanted))
    const shown = matching.slice(0, shownMax).map(([, { element }]) => element)
    const body = byId('tables')
    if (shown.length !== body.children.length || shown.some((element, index) => element !== body.children[index])) {
      body.replaceChildren(...shown)
    }
    byId('filter-box').hidden = all.length < filterFrom
    const done = all.filter(([, { table }]) => table.state === 'done').length
    const noun = all.length === 1 ? 'table' : 'tables'
    say(
      'tables-sum',
      now.phase === 'full'
        ? `${done} of ${all.length} copied · ${copied(
            all.map(([, { table }]) => table),
            lately(samples),
          )}`
        : `${all.length} ${noun}`,
    )
    say('progress-title', now.phase === 'incremental' ? 'State' : 'Progress')
    say('rows-title', now.phase === 'incremental' ? 'Changes' : 'Rows')
    byId('tables-more').hidden = matching.length <= shownMax
    say('tables-more', `… and ${matching.length - shownMax} more: filter to see them`)
  }

  // ── Lists ──────────────────────────────────────────────────────────────────

  const drawList = (id, notices, none) => {
    const items = [...notices].reverse().map(({ at, kind, code, text }) => {
      const item = make('li', kind)
      const time = make('time', '', clock(at))
      time.dateTime = new Date(at).toISOString()
      item.append(time, make('b', '', code.replaceAll('_', kind === 'checkpoint' ? ' ' : '_')), make('p', 'text', text))
      return item
    })
    if (items.length === 0) {
      const item = make('li')
      item.append(make('p', 'text', none))
      items.push(item)
    }
    byId(id).replaceChildren(...items)
  }

  // ── Events ─────────────────────────────────────────────────────────────────

  const take = (event, all) => {
    const news = JSON.parse(event.data)
    const elapsedMs = all || now.at === undefined ? 0 : news.at - now.at
    // What an event of the kind "tick" does not say of itself has not changed.
    if (all || news.phase !== now.phase) rows.clear()
    const { tables, sample, samples: every, checkpoints, problems, ...rest } = news
    now = all ? rest : { from: now.from, to: now.to, version: now.version, ...rest }
    samples = all ? every : appended(samples, sample)
    takeTables(tables, elapsedMs)
    drawHead()
    drawTiles()
    drawPlots()
    drawTables()
    if (checkpoints) drawList('checkpoints', checkpoints, 'None so far')
    if (problems) drawList('problems', problems, 'None so far')
  }

  const events = new EventSource('events')
  events.addEventListener('all', (event) => take(event, true))
  events.addEventListener('tick', (event) => take(event, false))
  events.addEventListener('error', () => {
    byId('state').className = 'pill bad'
    say('state', 'not connected')
    const banner = byId('banner')
    banner.hidden = false
    banner.className = ''
    say(
      'banner',
      'The process does not answer: it has ended, or the connection is lost. What is shown is the last it said.',
    )
    if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5_000)
  })
  byId('filter').addEventListener('input', drawTables)
  addEventListener('resize', drawPlots)
})()
