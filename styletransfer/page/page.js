() => {
  // What the page does in the browser alone; it is called once, when the page is there.
  const find = selector => document.querySelector(selector)
  const words = gradio_config.i18n_translations?.[document.documentElement.lang]
  if (!words) document.documentElement.lang = 'en'  // Gradio names the browser's language
  const say = text => words?.[text] ?? text
  const name = document.title = say(document.title)

  // Gradio's own buttons have English names alone, which are seen or heard when one is reached.
  const rename = event => {
    const button = event.target.closest?.('button')
    if (button?.title) button.title = say(button.title)
    if (button?.ariaLabel && !button.closest('#canvas')) button.ariaLabel = say(button.ariaLabel)  // is looked for there
  }
  for (const kind of ['pointerover', 'focusin']) if (words) addEventListener(kind, rename)

  // The theme that was chosen last.
  const theme = localStorage.getItem('styletransfer.theme')
  if (theme) document.body.classList.toggle('dark', theme === 'dark')

  // Where there is no share sheet for files, there is no button for it.
  const sample = {files: [new File([''], 'sample.png', {type: 'image/png'})]}
  document.body.classList.toggle('unshared', !navigator.canShare?.(sample))

  // The title tells how far a run is, and that it has ended while nobody looked; who wants to hears it.
  const progress = () => find('.status progress[value]')
  let running = false, stopped = false
  const entitle = () => {
    const bar = progress()
    if (bar) document.title = `${Math.round(100 * bar.value)} % · ${name}`
    else if (running) {
      document.title = document.hidden ? `✓ ${name}` : name
      if (!stopped && localStorage.getItem('styletransfer.chime') === 'on') ring()
    }
    if (!bar) stopped = false
    running = Boolean(bar)
  }
  new MutationObserver(entitle).observe(document.body, {subtree: true, childList: true, attributeFilter: ['value']})
  addEventListener('visibilitychange', () => { if (!document.hidden && !running) document.title = name })
  addEventListener('click', event => { if (event.target.closest?.('button.stop')) stopped = true })

  // Two short notes, the second one higher, and a message where the page is not in view.
  const ring = () => {
    const sound = new AudioContext()
    for (const [number, pitch] of [660, 880].entries()) {
      const note = sound.createOscillator(), volume = sound.createGain(), begin = sound.currentTime + 0.18 * number
      note.frequency.value = pitch
      volume.gain.setValueAtTime(0.15, begin)
      volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.35)
      note.connect(volume).connect(sound.destination)
      note.start(begin)
      note.stop(begin + 0.35)
      note.onended = () => { if (number) sound.close() }
    }
    if (document.hidden && window.Notification?.permission === 'granted') new Notification(name, {body: say('Your picture is done.')})
  }

  // Leaving the page with a picture that has not been saved asks once.
  addEventListener('beforeunload', event => {
    if (window.unsaved) event.preventDefault()
    window.unsaved = false
  })

  // Control or Command with Enter paints, Escape stops.
  const press = selector => { const button = find(selector); if (button?.checkVisibility()) button.click() }
  addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      document.activeElement?.blur?.()  // a number that is being typed counts
      press('#run')
    } else if (event.key === 'Escape' && !document.fullscreenElement) press('#stop')
  })

  // A file that is dropped on a picture takes its place: Gradio would take the picture away and lose the file.
  const slot = event => {
    const slot = event.target.closest?.('#content, #style, #clip-style')
    return slot?.querySelector('img') && event.dataTransfer?.types.includes('Files') ? slot : null
  }
  addEventListener('dragover', event => { if (slot(event)) event.preventDefault() }, true)
  addEventListener('drop', event => {
    const input = slot(event)?.querySelector('input[type=file]')
    if (!input) return
    event.preventDefault()
    event.stopImmediatePropagation()
    // Many browsers know no type for HEIC, and Gradio would turn it away before it can be told what it is.
    const files = new DataTransfer()
    for (const file of event.dataTransfer.files) {
      files.items.add(file.type ? file : new File([file], file.name, {type: 'image/unknown'}))
    }
    input.files = files.files
    input.dispatchEvent(new Event('change', {bubbles: true}))
  }, true)
  // For a file that is dropped beside all places, the browser would leave the page.
  const beside = event => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault() }
  for (const kind of ['dragover', 'drop']) addEventListener(kind, beside)

  // A number that is left empty is its first value: Gradio's sliders would take the least there is.
  addEventListener('blur', event => {
    const box = event.target
    if (box.type !== 'number' || box.value !== '') return
    const id = box.closest('.block[id]')?.id
    box.value = gradio_config.components.find(component => component.props.elem_id === id)?.props.value ?? ''
    box.dispatchEvent(new Event('input', {bubbles: true}))
  }, true)

  // A scroll that starts on a slider must not change it: browsers move it as soon as it is touched.
  let touched = null
  addEventListener('pointerdown', event => {
    const slider = event.pointerType === 'touch' && event.target.closest?.('input[type=range]')
    touched = slider ? {slider, value: slider.value, x: event.clientX, y: event.clientY} : null
  }, true)
  const lift = event => {
    if (!touched) return
    const {slider, value, x, y} = touched, across = Math.abs(event.clientX - x), along = Math.abs(event.clientY - y)
    touched = null
    if (event.type === 'pointerup' && along < Math.max(10, across)) return
    slider.value = value
    slider.dispatchEvent(new Event('input', {bubbles: true}))
  }
  for (const kind of ['pointerup', 'pointercancel']) addEventListener(kind, lift, true)

  // Names that Gradio does not give: to pictures, from the label of their place, to those in a row, to the size of a
  // stroke, since a brush size is something else here, and to the parts of a clip's player.
  const call = (element, attribute, name) => {
    if (name && element.getAttribute(attribute) !== name) element.setAttribute(attribute, name)
  }
  const label = element => element?.closest('.block')?.querySelector('[data-testid=block-label]')?.textContent.trim()
  const player = {'span.icon': 'Play or pause', progress: 'progress', '.volume-button, #volume': 'Volume', 'div.icon': 'Fullscreen'}
  const callAll = () => {
    for (const [part, name] of Object.entries(player)) {
      for (const element of document.querySelectorAll(`.controls .inner :is(${part})`)) call(element, 'aria-label', say(name))
    }
    for (const {firstChild: title} of document.querySelectorAll('.toast-title')) {
      const text = title?.data?.trim()
      if (words?.[text]) title.data = `${words[text]} `
    }
    const names = label(find('#result img'))?.split(' · ') ?? []
    document.querySelectorAll('#result img').forEach((picture, number) => call(picture, 'alt', names[number]))
    for (const picture of document.querySelectorAll('.image-frame img')) call(picture, 'alt', label(picture))
    for (const empty of document.querySelectorAll('.empty[aria-label]')) call(empty, 'role', 'img')
    for (const picture of document.querySelectorAll('.thumbnail-item img')) call(picture.parentElement, 'aria-label', picture.alt)
    for (const size of document.querySelectorAll('#canvas [aria-label$=Size], #canvas .size_picker input')) {
      call(size, 'aria-label', say('Stroke size'))
      call(size, 'title', say('Stroke size'))
    }
  }
  new MutationObserver(callAll).observe(document.body, {subtree: true, childList: true, characterData: true})
  callAll()

  // The line between photograph and painting, by keyboard: Gradio's listens to the mouse alone.
  const line = find('#result [data-testid=slider]')
  const percent = () => {
    const painting = find('#result img.fixed')
    return Math.round(parseFloat(painting?.style.clipPath.split(' ').pop()) || 0)
  }
  const tell = () => line.setAttribute('aria-valuenow', percent())
  const move = share => {
    const box = find('#result img.fixed').getBoundingClientRect()
    const at = x => ({bubbles: true, view: window, clientX: box.x + x * box.width, clientY: box.y + box.height / 2})
    line.dispatchEvent(new MouseEvent('mousedown', at(percent() / 100)))
    window.dispatchEvent(new MouseEvent('mousemove', at(share)))
    window.dispatchEvent(new MouseEvent('mouseup', at(share)))
  }
  if (line) {
    const attributes = {role: 'slider', tabindex: 0, 'aria-label': say('Photo or painting'), 'aria-valuemin': 0, 'aria-valuemax': 100}
    for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value)
    tell()
    const moves = {subtree: true, attributes: true, attributeFilter: ['style']}
    new MutationObserver(tell).observe(find('#result'), moves)
    line.addEventListener('keydown', event => {
      const to = {ArrowLeft: percent() - 5, ArrowRight: percent() + 5, Home: 0, End: 100}[event.key]
      if (to === undefined || !find('#result img.fixed')?.style.clipPath) return  // or not there yet
      event.preventDefault()
      move(Math.min(100, Math.max(0, to)) / 100)
    })
  }
}
